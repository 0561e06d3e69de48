"""What Prometheus is told: numbers only, never a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)


class Metrics:
    """The counters of one service, apart from those of the process it may share.

    Raises
    ------
    ImportError
        If prometheus-client is not installed.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        from prometheus_client.process_collector import ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Histogram(
            "skraee_request_seconds",
            "Seconds from a request's first line to the end of its answer.",
            ["path", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._model = Histogram(
            "skraee_model_seconds",
            "Seconds that the model took for a batch.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "skraee_batch_texts",
            "Texts of a batch.",
            buckets=_TEXTS,
            registry=self.registry,
        )
        self._exits = Counter(
            "skraee_texts",
            "Texts answered, by the layer at which they stopped.",
            ["exit_layer"],
            registry=self.registry,
        )
        self._rejected = Counter(
            "skraee_rejected",
            "Requests that were refused, by the reason.",
            ["reason"],
            registry=self.registry,
        )
        self._gone = Counter(
            "skraee_gone",
            "Requests whose client left before the answer.",
            registry=self.registry,
        )
        self._queue = Gauge(
            "skraee_queue_texts", "Texts that wait.", registry=self.registry
        )
        self._ready = Gauge(
            "skraee_ready", "1 once the model is loaded.", registry=self.registry
        )

    def watch_queue(self, n_texts: Callable[[], int]) -> None:
        """Ask how many texts wait whenever the metrics are read."""
        self._queue.set_function(n_texts)

    def ready(self) -> None:
        """Note that the model is loaded."""
        self._ready.set(1)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, status).observe(seconds)

    def batch(self, n_texts: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.observe(n_texts)
        self._model.observe(seconds)

    def exits(self, layers: Iterable[int]) -> None:
        """Count texts by the layer at which they stopped."""
        for layer in layers:
            self._exits.labels(layer).inc()

    def rejected(self, reason: str) -> None:
        """Count a request that was refused."""
        self._rejected.labels(reason).inc()

    def gone(self) -> None:
        """Count a client that left."""
        self._gone.inc()

    def text(self) -> tuple[bytes, str]:
        """Return all of it in the form of Prometheus, and the type of that."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST
