"""One run: ``python -m benchmarks.scale.work ENGINE N FOLDER``.

A process of its own. It prints a line of JSON: the seconds until the first texts were
answered, the rows and seconds after that, and the largest worker's memory (MiB) then
and at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODEL, TEXTS = "model.skraee", "texts"

_BATCH = 1024

Found = dict[str, float]


def plain(workers: int, folder: Path) -> Found:
    """Read and predict in processes that know nothing of each other."""
    command = [sys.executable, "-m", "benchmarks.scale.work", "loop"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    start = time.perf_counter()
    loops: list[Any] = [
        subprocess.Popen([*command, f"{i}/{workers}", str(folder)], **pipes)
        for i in range(workers)
    ]
    for one in loops:  # each says that it has its model
        one.stdout.readline()
    ready, first = time.perf_counter(), worker_mib()
    for one in loops:
        one.stdin.write(b"go\n")
        one.stdin.flush()
    answered = [json.loads(one.stdout.readline()) for one in loops]
    seconds = time.perf_counter() - ready
    rows = sum(one["rows"] for one in answered)
    for one in loops:
        one.communicate()
    last = max(one["mib"] for one in answered)
    return found(ready - start, rows, seconds, first, last)


def loop(share: str, folder: Path) -> None:
    """Predict every n-th file, once told to go."""
    from pyarrow import parquet

    from skraee import EarlyExitClassifier

    place, n = map(int, share.split("/"))
    clf = EarlyExitClassifier.load(folder / MODEL).set_params(memory=None)
    clf.predict(["a"])
    say("ready")
    sys.stdin.readline()
    rows = 0
    for path in files(folder)[place::n]:
        texts = parquet.read_table(path).column("text").to_pylist()
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            rows += len(clf.predict_proba(batch, return_exit_layers=True)[1])
    say(json.dumps({"rows": rows, "mib": mib_of(os.getpid())}))


def ray(workers: int, folder: Path) -> Found:
    """Stream through actors; the time begins when the first block is out."""
    import ray as engine

    from skraee.scale import predict_dataset

    # A core more than there are actors, for what reads the files.
    engine.init(num_cpus=workers + 1, include_dashboard=False, logging_level="error")
    engine.data.DataContext.get_current().enable_progress_bars = False
    start = time.perf_counter()
    ds = engine.data.read_parquet(str(folder / TEXTS))
    answered = predict_dataset(
        folder / MODEL, ds, batch_size=_BATCH, concurrency=workers
    )
    return streamed(answered, start)


def streamed(answered: Any, start: float) -> Found:
    rows, began, first = 0, 0.0, 0.0
    blocks = answered.iter_batches(batch_size=None, batch_format="pyarrow")
    for i, block in enumerate(blocks):
        if i == 0:
            began, first = time.perf_counter(), worker_mib()
        else:
            rows += len(block)
    seconds = time.perf_counter() - began
    return found(began - start, rows, seconds, first, worker_mib())


def spark(workers: int, folder: Path) -> Found:
    """Answer some texts with every worker first, then all."""
    from pyspark.sql import SparkSession

    from skraee.scale import predict_udf

    session = (
        SparkSession.builder.master(f"local[{workers}]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", _BATCH)
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    answer = predict_udf(folder / MODEL)

    def answered(paths: list[str]) -> None:
        frame = session.read.parquet(*paths).withColumn("answer", answer("text"))
        frame.write.format("noop").mode("overwrite").save()

    return in_two(answered, folder, 2 * workers)


def dask(workers: int, folder: Path) -> Found:
    """Answer some texts with every worker first, then all, in partitions."""
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    from skraee.scale import predict_frame

    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):

        def answered(paths: list[str]) -> None:
            frame = predict_frame(folder / MODEL, dd.read_parquet(paths))
            frame["exit_layer"].sum().compute()

        return in_two(answered, folder, 2 * workers)


def in_two(answered: Callable[[list[str]], None], folder: Path, n_first: int) -> Found:
    """Answer a few files, by which the workers load the model, then time the rest."""
    paths = files(folder)
    start = time.perf_counter()
    answered(paths[:n_first])
    began, first = time.perf_counter(), worker_mib()
    answered(paths[n_first:])
    seconds = time.perf_counter() - began
    return found(began - start, rows_of(paths[n_first:]), seconds, first, worker_mib())


def found(start: float, rows: int, seconds: float, first: float, last: float) -> Found:
    if not rows:
        raise ValueError("the first texts were all; measure with more rows.")
    return {
        "start_s": round(start, 2),
        "n": rows,
        "seconds": round(seconds, 3),
        "rows_per_s": round(rows / seconds, 1),
        "first_mib": round(first, 1),
        "last_mib": round(last, 1),
    }


def files(folder: Path) -> list[str]:
    return sorted(map(str, (folder / TEXTS).glob("*.parquet")))


def rows_of(paths: list[str]) -> int:
    from pyarrow import parquet

    return sum(parquet.read_metadata(path).num_rows for path in paths)


def worker_mib() -> float:
    """Return the memory of the largest other process of this run that has torch."""
    return max((mib_of(pid) for pid in workers_of_this_run()), default=0.0)


def workers_of_this_run() -> Iterator[int]:
    mark = f"SKRAEE_SCALE_RUN={os.environ.get('SKRAEE_SCALE_RUN')}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        pid = int(place.name)
        try:
            ours = pid != os.getpid() and mark in (place / "environ").read_bytes()
            if ours and b"libtorch_cpu" in (place / "maps").read_bytes():
                yield pid
        except OSError:  # it has ended, or is another user's
            continue


def mib_of(pid: int) -> float:
    """Return a process's memory without what it shares by files; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [one.split() for one in status.splitlines() if one.startswith("RssAnon")]
    return int(sizes[0][1]) / 1024 if sizes else 0.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(name: str, number: str, folder: str) -> None:
    if name == "loop":
        loop(number, Path(folder))
        return
    engines = {"plain": plain, "ray": ray, "spark": spark, "dask": dask}
    say(json.dumps(engines[name](int(number), Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
