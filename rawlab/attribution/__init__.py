"""Why each packet exists: from packets and calls to causes, states, sentences (`telling`). Pure: no system is asked."""
