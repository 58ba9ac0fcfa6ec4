"""Types of the numbers in records that are read from files: no record has larger ones."""

from typing import Annotated

from pydantic import Field

from qm7cli.dataset import LARGEST

Count = Annotated[int, Field(ge=0, lt=2**63)]
Measure = Annotated[float, Field(ge=0, lt=LARGEST)]  # an error in kcal/mol, or seconds
