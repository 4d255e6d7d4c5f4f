"""`help()` of both clients: each public method documents its parameters, its result, its errors and an example."""

from __future__ import annotations

import inspect
import pydoc
import re
from typing import Any

import pytest

from triton_operator import sdk
from triton_operator.sdk import AsyncClient, Client, SdkError
from triton_operator.sdk.documented import blocking_form
from triton_operator.sdk.explanation import ExplainOptions

METHODS = sorted(name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_"))
SECTION = re.compile(r"^(Args|Returns|Raises|Example):", re.MULTILINE)


def _sections(documented: object) -> dict[str, str]:
    """The text below each heading of a docstring; "" is the part before the first."""
    first, *rest = SECTION.split(inspect.getdoc(documented) or "")
    return {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _terms(section: str) -> list[str]:
    """The entries of a section: the words before the colons."""
    return re.findall(r"^ {4}(\w+):", section, re.MULTILINE)


def test_both_clients_have_the_same_methods() -> None:
    """With the same parameters and defaults."""
    assert METHODS == [
        "delete",
        "deploy",
        "explain",
        "infer",
        "interface",
        "is_ready",
        "masked",
        "status",
        "stream",
        "wait_ready",
    ]
    for name in METHODS:
        blocking, asynchronous = (
            [
                (each.name, each.kind, each.default)
                for each in inspect.signature(getattr(client, name)).parameters.values()
            ]
            for client in (Client, AsyncClient)
        )
        assert blocking == asynchronous


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_documented(client: type[Any], name: str) -> None:
    """Every parameter, the result unless it is None, each error by its class, and an example."""
    method = getattr(client, name)
    sections, signature = _sections(method), inspect.signature(method)
    assert sections[""].splitlines()[0].endswith(".")
    assert _terms(sections.get("Args", "")) == [each for each in signature.parameters if each != "self"]
    assert ("Returns" in sections) == (signature.return_annotation != "None")
    raised = [getattr(sdk, each) for each in _terms(sections["Raises"])]
    assert raised
    assert all(issubclass(each, SdkError) for each in raised)
    assert f"client.{name}(" in sections["Example"]


@pytest.mark.parametrize("name", ["", *METHODS])
def test_the_blocking_client_has_the_text_of_the_other(name: str) -> None:
    """Both come from one source; the example is adapted to use without asyncio."""
    blocking, asynchronous = (getattr(client, name) if name else client for client in (Client, AsyncClient))
    text = inspect.getdoc(blocking) or ""
    assert text == blocking_form(inspect.getdoc(asynchronous) or "")
    assert not re.search(r"\b(await|async|AsyncClient)\b", text)
    example = inspect.cleandoc("\n" + _sections(blocking)["Example"].lstrip(":"))
    compile(example, f"Client.{name}", "exec")


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_each_client_documents_its_arguments(client: type[Any]) -> None:
    """And how to open it."""
    sections = _sections(client)
    assert _terms(sections["Args"]) == list(inspect.signature(client).parameters)
    assert f"with {client.__name__}(" in sections["Example"]


def test_the_options_of_explain_are_all_described() -> None:
    """They are keyword arguments, which the signature does not list."""
    described = _sections(Client.explain)["Args"]
    assert [name for name in ExplainOptions.__annotations__ if f"`{name}`" not in described] == []


def test_help_shows_types_and_defaults() -> None:
    """In the signature, above the text."""
    shown = pydoc.plain(pydoc.render_doc(Client.infer))
    assert "timeout: 'float | None' = None" in shown
    assert "-> 'Prediction'" in shown
    assert "np.zeros" in pydoc.plain(pydoc.render_doc(Client))
