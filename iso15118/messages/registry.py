"""Schema sets by namespace; the message modules are imported when their set is first asked for."""

from __future__ import annotations

import functools
import importlib
from types import MappingProxyType
from typing import Any, Final

from iso15118.exi.grammar import SchemaSet
from iso15118.messages import namespaces

_XMLDSIG: Final = ("xmldsig",)
_COMMON: Final = (*_XMLDSIG, "iso20.types")
_AC: Final = (*_COMMON, "iso20.ac")

SETS: Final = MappingProxyType(
    {
        namespaces.SAP: ("sap",),
        namespaces.XMLDSIG: _XMLDSIG,
        namespaces.COMMON_MESSAGES: (*_COMMON, "iso20.schedules", "iso20.common"),
        namespaces.AC: _AC,
        namespaces.DC: (*_COMMON, "iso20.dc"),
        namespaces.WPT: (*_COMMON, "iso20.wpt"),
        namespaces.ACDP: (*_COMMON, "iso20.acdp"),
        namespaces.AC_DER_IEC: (*_AC, "iso20.ac_der_iec"),
        namespaces.AC_DER_SAE: (*_AC, "iso20.ac_der_sae"),
    }
)
"""The modules of each set, imported ones first; keys are the namespaces that select a set."""


@functools.cache
def schema_set(namespace: str) -> SchemaSet:
    """The schema set of a namespace. KeyError for one that is not supported."""
    modules = (importlib.import_module(f"iso15118.messages.{name}") for name in SETS[namespace])
    return SchemaSet(namespace, modules)


def message_class(name: str, namespace: str | None = None) -> type[Any]:
    """The class of a root element such as "DC_ChargeLoopReq"; KeyError if no set has it.

    Without `namespace` the sets are searched in the order of `SETS`.
    """
    for candidate in SETS if namespace is None else (namespace,):
        found = schema_set(candidate).class_named(name, candidate)
        if found is not None:
            return found
    raise KeyError(name)
