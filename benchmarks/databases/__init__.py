"""Large databases for retrieval: to build, to search, to load and to predict with.

Keys have 384 numbers and are drawn, not encoded: a mixture of 1,000 Gaussians in 64
dimensions of the 384, so that they lie in clusters of many scales as texts do, and are
not uniform. Figures:

search  seconds to build, milliseconds per query alone and in batches of 64, memory,
        recall@12 against exact search, of each way to search
file    seconds to load a model file, held and mapped, and what is in memory before and
        after 1,000 queries
share   what part of predict of 256 texts is retrieval, with MiniLM as the backbone (at
        most 5 % at 10^6)

Each is taken in a process of its own (Linux). An HNSW graph over 10^6 keys is built by
one thread, so that it is the same every time; that takes most of the benchmark.
"""
