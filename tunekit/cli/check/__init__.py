"""``tunekit check``: the conformance checks of a plugin file's components, or of one by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli import completion
from tunekit.cli.options import Json, Plugin
from tunekit.cli.output import print_json
from tunekit.errors import InputError, PluginError, suggestion

if TYPE_CHECKING:
    from tunekit.components import Component
    from tunekit.plugins import Owner, Registry
    from tunekit.testing import Finding


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="A plugin file, or a component, as in adam or optimizer.adam.",
            show_default=False,
            autocompletion=completion.component_names,
        ),
    ],
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="CHECK=REASON",
            help="A check that is known to fail, and why. Repeatable.",
            show_default=False,
        ),
    ] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Check that components keep what their kind promises; says what is wrong and how to mend it.

    Exit code 1 if a check fails.
    """
    from tunekit.cli.check.page import Page
    from tunekit.testing.check import checks_for, found

    reasons = dict(_reason(text) for text in expect or ())
    components = _components(target, plugin or [])
    checks = [checks_for(component) for component, _ in components]
    _refuse_unknown(reasons, {check.name for several in checks for check in several})
    page = None if as_json else Page()
    findings: list[list[Finding]] = []
    for (component, owner), several in zip(components, checks, strict=True):
        if page is not None:
            page.begin(component, owner, several)
        findings.append([])
        for check in several:
            finding = found(check, component, reasons.get(check.name))
            findings[-1].append(finding)
            if page is not None:
                page.add(finding)
    failed = sum(not finding.is_good for several in findings for finding in several)
    if page is None:
        pairs = zip(components, findings, strict=True)
        described = [_described(*component, several) for component, several in pairs]
        print_json({"components": described, "failed": failed})
    else:
        page.end(sum(len(several) for several in findings), failed)
    if failed:
        raise typer.Exit(1)


def _reason(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not (equals and name and reason.strip()):
        raise InputError(f"--expect {text}: expected CHECK=REASON")
    return name, reason.strip()


def _refuse_unknown(reasons: dict[str, str], known: set[str]) -> None:
    for name in reasons:
        if name not in known:
            raise InputError(
                f"--expect: there is no check {name!r} here. {suggestion(name, known)}"
            )


def _components(target: str, plugins: list[str]) -> list[tuple[Component, Owner]]:
    """What is meant, at its defaults, with its owner.

    Raises:
        PluginError: The file cannot be used, or a component of it not be made.
        UnknownNameError: There is no component of that name.
    """
    from tunekit.cli.plugins import lookup
    from tunekit.plugins import PluginFile

    if not _is_file(target):
        registry = lookup.loaded(plugins)
        keys = lookup.components(registry, target)
    else:
        path = os.path.abspath(target)
        registry = lookup.loaded(plugins, [PluginFile.read(path)])
        brought = [cls for cls, owner in registry.brought_by("file") if owner.name == path]
        if not brought:
            raise PluginError("it brings no component to check", file=target)
        keys = [(cls.kind, cls.name) for cls in brought]
    return [_made(registry, *key) for key in keys]


def _is_file(target: str) -> bool:
    return target.endswith(".py") or os.path.basename(target) != target


def _made(registry: Registry, kind: str, name: str) -> tuple[Component, Owner]:
    from tunekit.cli.plugins import lookup
    from tunekit.plugins import place, told

    owner = registry.owner(kind, name)
    try:
        return lookup.find(registry, kind, name)(), owner
    except (Exception, SystemExit) as error:
        at = place(error)
        raise PluginError(
            f"the {kind} {name!r} cannot be made at its defaults: {told(error)}",
            file=at.file if at else owner.name,
            line=at.line if at else None,
        ) from error


def _described(component: Component, owner: Owner, findings: list[Finding]) -> dict[str, Any]:
    return {
        "kind": component.kind,
        "name": component.name,
        "owner": str(owner),
        "checks": [
            {
                "name": finding.check.name,
                "summary": finding.check.summary,
                "outcome": finding.outcome,
                "note": finding.note,
                "expected": finding.failure and finding.failure.expected,
                "found": finding.failure and finding.failure.found,
                "likely": finding.failure and finding.failure.likely,
                "seconds": finding.seconds,
            }
            for finding in findings
        ],
    }
