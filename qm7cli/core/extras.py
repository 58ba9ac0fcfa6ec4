"""Optional libraries, imported where they are needed."""

from importlib import import_module
from typing import Any

from qm7cli.core.errors import QM7Error


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module that an extra of this package brings, such as ``rdkit.Chem`` of ``chem``.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra, as pip takes it.
    purpose : str
        What needs it, the beginning of a sentence: ``SMILES need``.

    Raises
    ------
    QM7Error
        If the library is not installed, or is and cannot be imported, with the reason.
    """
    library = module.partition(".")[0]
    try:
        import_module(library)  # which names itself where it is missing
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == library:
            raise QM7Error(f"{purpose} {library}, which is not installed: pip install 'qm7cli[{extra}]'") from error
        reason: Exception = error
    except Exception as error:  # noqa: BLE001 - a library may raise anything while it is imported
        reason = error
    raise QM7Error(f"{purpose} {library}, which is installed and cannot be imported: {reason}") from reason
