"""The course's writen, readn and readline: a stream has no message boundaries, so each goes on until all is through."""

from rawlab.model.calls import Calls


def writen(c: Calls, fd: int, buf: bytes) -> int:
    """Writes all of `buf`: a write may take less than it was given. How many bytes were taken."""
    taken = c.write(fd, buf)
    while 0 < taken < len(buf) and (more := c.write(fd, buf[taken:])) > 0:
        taken += more
    return taken


def readn(c: Calls, fd: int, count: int) -> bytes:
    """Reads until `count` bytes have come, or the stream has ended: a read may give less than was asked."""
    received = b""
    while len(received) < count and (piece := c.read(fd, count - len(received))):
        received += piece
    return received


def readline(c: Calls, fd: int, maxlen: int) -> bytes:
    """Reads one line, its newline included, octet by octet: what comes behind it must stay in the stream."""
    line = b""
    while len(line) < maxlen and (octet := c.read(fd, 1)):
        line += octet
        if octet == b"\n":
            break
    return line
