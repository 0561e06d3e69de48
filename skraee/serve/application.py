"""The application: its paths, and what each of them does."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skraee.serve import openapi
from skraee.serve.guard import Guard
from skraee.serve.limits import Limits
from skraee.serve.model import Model
from skraee.serve.paths import OPEN_PATHS, PATHS, add_paths
from skraee.serve.service import Service
from skraee.serve.token import checked_token
from skraee.versions import installed

if TYPE_CHECKING:
    from fastapi import FastAPI

    from skraee.serve.model import Classifier

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


def app(
    clf: Classifier, *, limits: Limits | None = None, token: str | None = None
) -> FastAPI:
    """Make an ASGI application that answers with a fitted classifier.

    Run it by itself (``skraee serve`` does, with limits on connections besides) or
    mount it in an application of yours. Requests that wait together run as one batch,
    in one thread; a text's label and exit are those of `predict`.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier or baseline
        Fitted. It is shared, not copied: leave its parameters as they are.
    limits : Limits, optional
        What is refused, and how long is waited. Set them to what your texts and
        clients need.
    token : str, optional
        At least 16 characters that a request must have as ``Authorization: Bearer
        TOKEN``, but for health and documentation. Set it wherever others than you can
        reach the port. Read it from a file or the environment, and write it into no
        program.

    Returns
    -------
    fastapi.FastAPI
        Nothing of the model is loaded yet; the start of a server does it, or the
        first request to an application that is mounted.

    Raises
    ------
    ImportError
        If the extra `serve` is not installed.
    TypeError
        If `clf` is no classifier of skraee.
    ValueError
        If `token` is short, or has characters that a header cannot have.
    NotFittedError
        If `clf` is not fitted.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, serve, toy
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> application = serve.app(clf)  # doctest: +SKIP
    """
    return application(service_of(clf, limits or Limits()), checked_token(token))


def service_of(clf: Classifier, limits: Limits) -> Service:
    """Return the service behind an application.

    Raises
    ------
    ImportError
        If a package of the extra `serve` is not installed.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"a service needs {missing[0]}, which is not installed; "
            "pip install 'skraee[serve]'."
        )
    return Service(Model(clf), limits)


def application(service: Service, token: str | None) -> FastAPI:
    """Return the application of a service.

    Parameters
    ----------
    service : Service
    token : str or None

    Returns
    -------
    fastapi.FastAPI
    """
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException

    api = FastAPI(
        title="skraee",
        summary=f"{service.model.name}, {len(service.model.classes)} classes",
        version=installed(["skraee"])["skraee"],
        docs_url=None,  # the page of FastAPI loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=service.lifespan,
        exception_handlers={HTTPException: _told},
    )
    add_paths(api, service)
    document = api.openapi
    api.openapi = lambda: openapi.with_token(document())
    api.add_middleware(
        Guard,
        metrics=service.metrics,
        paths=PATHS,
        open_paths=OPEN_PATHS,
        token=token,
    )
    return api


async def _told(_: Any, error: Any) -> Any:
    """Answer an error of the framework, as a path that there is not, as JSON."""
    from fastapi.responses import JSONResponse

    sentence = f"{error.detail}; /docs names the paths and their methods."
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
