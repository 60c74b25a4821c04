"""The only rooms that own sockets.

``endpoint``   what a datagram socket is to us, whoever implements it
``network``    where endpoints come from: the kernel, or a simulated network installed by a context variable
``kernel``     the real network
``udp``        kernel sockets, batched: ``receiving`` and ``sending`` over ``mmsg``, ``sockopts``, ``multicast``,
               ``ancillary`` data, ``addresses``, ``interfaces`` and the network's ``troubles``
``ports``      pairs of neighbouring ports
``tun``        an interface of this machine whose packets we read and write (Linux)
``dtls``       an endpoint wrapped in DTLS (extra ``dtls``)
``simulated``  the same endpoints on a seeded network of our own
``coalesce``   reading in ticks while data keeps coming
"""
