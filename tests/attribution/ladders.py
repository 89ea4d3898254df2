"""Beginnings that many ladders share."""

LISTEN = """
c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
c2  server   10       bind(3, 0.0.0.0:7) = 0
c3  server   20       listen(3, 10) = 0
c4  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
"""

OPEN = f"""{LISTEN}
c5  client   100-160  connect(3, 10.0.0.2:7) = 0
p1  client>  110      [S] seq 0
p2  server>  135      [S.] seq 0, ack 1
p3  client>  158      [.] ack 1
c6  server   200      accept(3, 10.0.0.1:40000) = 4
"""
"""Both ends are ESTABLISHED, the client's on descriptor 3, the server's on 4."""
