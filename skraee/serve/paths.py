"""The paths of the application, with what the OpenAPI document says of each."""

# No annotations from __future__: FastAPI reads them where a path is added, and would
# not find names that a function has imported.

from typing import TYPE_CHECKING, Any

from skraee.serve import openapi
from skraee.serve.page import CONTENT_POLICY, page
from skraee.serve.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

#: What tells nothing of the model's answers, nor takes any of its time.
OPEN_PATHS = ("/healthz", "/readyz", "/docs", "/openapi.json")

#: All of them.
PATHS = ("/predict", "/explain", "/metrics", *OPEN_PATHS)


def add_paths(api: "FastAPI", service: Service) -> None:
    """Add the paths to an application.

    Parameters
    ----------
    api : fastapi.FastAPI
    service : Service
    """
    _add_questions(api, service)
    _add_state(api, service)
    _add_page(api)


def _add_questions(api: "FastAPI", service: Service) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response

    async def predict(request: Request) -> Response:
        return JSONResponse(await service.predict(request.scope, request.receive))

    async def explain(request: Request) -> Response:
        return JSONResponse(await service.explain(request.scope, request.receive))

    model, limits = service.model, service.limits
    api.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        operation_id="predict",
        summary="Label, probabilities and exit layer of each text.",
        responses=openapi.answers(model),
        openapi_extra=openapi.question(model, limits, limits.max_texts),
    )
    api.add_api_route(
        "/explain",
        explain,
        methods=["POST"],
        operation_id="explain",
        summary="Why each of a few texts got its answer, and at that layer.",
        responses=openapi.explanations(),
        openapi_extra=openapi.question(model, limits, limits.max_explained),
    )


def _add_state(api: "FastAPI", service: Service) -> None:
    from fastapi.responses import JSONResponse, Response

    async def healthz() -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz() -> Response:
        return JSONResponse(await service.readiness())

    async def metrics() -> Response:
        text, kind = service.metrics.text()
        return Response(text, headers={"Content-Type": kind})

    added: dict[str, tuple[Any, str]] = {
        "/healthz": (healthz, "200 while the process answers."),
        "/readyz": (readyz, "200 once the model is loaded, 503 before."),
        "/metrics": (metrics, "Numbers for Prometheus."),
    }
    for path, (answer, about) in added.items():
        name = path.removeprefix("/")
        api.add_api_route(
            path, answer, methods=["GET"], summary=about, operation_id=name
        )
        api.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)


def _add_page(api: "FastAPI") -> None:
    from fastapi.responses import HTMLResponse, Response

    async def docs() -> Response:
        headers = {"Content-Security-Policy": CONTENT_POLICY}
        return HTMLResponse(page(api.openapi()), headers=headers)

    api.add_api_route("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)
