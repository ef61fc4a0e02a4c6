"""This project against its peers, on one machine, in one run.

``python -m benchmarks`` makes its own environment, starts every server on one core, loads it from the other, in
turn and in several rounds, and writes tables (RST, JSON) and charts (SVG). The layers; imports point downward:

=================  ====================================================================================
``__main__``       enters the environment, then ``cli``
``cli``            options and plans: which servers, which workloads, how long
``rounds``         runs the plan: rounds, interleaved; a peer that fails is reported with its reason
``servers``        how each peer is started; ``workloads``: what it has to do
``processes``      one pinned process from start to stop; ``procfs``: what it cost
``load``           the load generator, a process of its own
``peers``          the peers' applications; ``project``: the Django project that all Django peers serve
``report``         medians and ratios; RST, JSON and SVG
``capacity``       a separate command: as many sockets as one process can hold
=================  ====================================================================================
"""
