"""What Ray, Spark and Dask cost beside plain processes that do the same work.

Texts lie in Parquet files and are answered in batches of 1,024. "plain" is one process,
or two side by side, that read the files and call predict in a loop; each engine has one
or two workers on this machine, and every worker and process one thread. Measured is the
steady state: from the moment when the models are loaded and the first texts answered.
How long it takes until then is told apart. The share that an engine loses is

    1 - (its rows a second) / (rows a second of as many plain processes)

so that what two busy cores lose to each other is no fault of the engine. Each run is a
process of its own; of several rounds the median counts.
"""
