"""Transport protocols spoken without the kernel's, sans-IO: packets and the time go in, packets and events come out.

No descriptor, clock or chance is touched here; `live` runs these on raw sockets.
"""
