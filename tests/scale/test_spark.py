"""Spark in a JVM of this machine: real Python workers, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skraee import EarlyExitClassifier
from skraee.scale import predict_udf

sql = pytest.importorskip("pyspark.sql", reason="the extra `spark` is not installed")
pa = pytest.importorskip("pyarrow")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        shutil.which("java") is None and "JAVA_HOME" not in os.environ,
        reason="Spark needs Java, which is not installed",
    ),
    pytest.mark.filterwarnings("default"),  # Spark's own
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        sql.SparkSession.builder.master("local[2, 4]")  # a task may fail three times
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "512m")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 128)
        .config("spark.sql.shuffle.partitions", 2)
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def numbered(spark: Any, texts: list[Any], n_parts: int = 4) -> Any:
    frame = spark.createDataFrame(list(enumerate(texts)), "number int, text string")
    return frame.repartition(n_parts)


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """Return number, label, probabilities and exit of each text, in their order."""
    found = frame.select("number", "answer.*").collect()
    assert {row["error"] for row in found} == {None}
    columns = ("number", "label", "probabilities", "exit_layer")
    return sorted(tuple(row[name] for name in columns) for row in found)


def test_file_is_sent_and_parquet_goes_in_and_out(
    spark: Any,
    clf: EarlyExitClassifier,
    texts: list[str],
    expected: Any,
    tmp_path: Path,
) -> None:
    clf.save(tmp_path / "model.skraee")
    answer = predict_udf(tmp_path / "model.skraee")
    (tmp_path / "model.skraee").unlink()  # the executors have its bytes
    numbered(spark, texts).write.parquet(str(tmp_path / "in"))
    frame = spark.read.parquet(str(tmp_path / "in"))
    frame.withColumn("answer", answer("text")).write.parquet(str(tmp_path / "out"))
    assert rows(spark.read.parquet(str(tmp_path / "out"))) == expected


def test_poison_is_reported_and_the_others_answered(
    spark: Any, clf: EarlyExitClassifier, texts: list[str], expected: Any
) -> None:
    poisoned = [*texts[:50], None, *texts[50:100]]
    frame = numbered(spark, poisoned, 2).withColumn("answer", predict_udf(clf)("text"))
    found = sorted(frame.select("number", "answer.*").collect())
    assert tuple(found.pop(50)) == (50, None, None, None, "no text")
    assert [row["label"] for row in found] == [row[1] for row in expected[:100]]
    assert {row["error"] for row in found} == {None}


def test_worker_that_is_killed_loses_nothing_and_answers_nothing_twice(
    spark: Any,
    clf: EarlyExitClassifier,
    texts: list[str],
    expected: Any,
    tmp_path: Path,
) -> None:
    died = tmp_path / "died"

    # Two functions of Arrow, one around the other, run in the same worker.
    @sql.functions.arrow_udf("string")
    def killed(column: pa.Array, numbers: pa.Array) -> pa.Array:
        if 300 in numbers.to_pylist() and not died.exists():
            died.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return column

    answer = predict_udf(clf)(killed("text", "number"))
    assert rows(numbered(spark, texts, 8).withColumn("answer", answer)) == expected
    assert died.exists()


def test_without_a_session_nothing_can_be_sent(
    spark: Any, clf: EarlyExitClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql.SparkSession, "getActiveSession", lambda: None)
    with pytest.raises(ValueError, match="there is no session of Spark"):
        predict_udf(clf)
