"""The load generator: bare epoll over non-blocking sockets, counting bytes.

It is in Python, so that anyone can read and run it, but its hot loops do nothing per message except
``recv_into``, one comparison and ``send`` of a frame that was masked beforehand. That makes it faster than client
libraries, which build and parse each message; the first reply on every connection is parsed and compared with what
was sent. Its own ceiling is what it reaches against the floor.

It runs in a process of its own on a core of its own: ``python -m benchmarks.load '<job as JSON>'`` writes its
results as one line of JSON.
"""
