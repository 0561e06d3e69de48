"""A fitted classifier behind HTTP: questions in, labels, probabilities, exits out.

`app` makes an ASGI application of a classifier, for who mounts it in one of their own;
``skraee serve model.skraee`` runs it. It needs the extra `serve`.

======================  =============================================================
``POST /predict``       labels, probabilities and exit layers of texts
``POST /explain``       why each of a few texts got its answer, and at that layer
``GET /healthz``        200 while the process answers
``GET /readyz``         200 once the model is loaded, 503 before
``GET /metrics``        for Prometheus
``GET /docs``           this as a page; ``/openapi.json`` for programs
======================  =============================================================
"""

from skraee.serve.application import app
from skraee.serve.limits import Limits

__all__ = ["Limits", "app"]
