"""The base of the server processes' settings: read from the environment, misspelt names refused."""

import os
from typing import Self, get_args

from pydantic import BaseModel, model_validator
from pydantic_settings import BaseSettings

from gateway.wire.environment import find_misspelt


class ProcessSettings(BaseSettings):
    """Settings under one prefix. Raises ``ValidationError`` also for a name that nearly is one."""

    @model_validator(mode="after")
    def _no_name_is_misspelt(self) -> Self:
        prefix = str(self.model_config.get("env_prefix", ""))
        delimiter = str(self.model_config.get("env_nested_delimiter") or "__")
        known = set()
        for name, field in type(self).model_fields.items():
            known.add(f"{prefix}{name}".upper())
            for kind in (field.annotation, *get_args(field.annotation)):  # Also `Model | None`.
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    parts = kind.model_fields
                    known |= {f"{prefix}{name}{delimiter}{part}".upper() for part in parts}
        problems = [
            f"{name} is no setting; did you mean {meant}?"
            for name, meant in find_misspelt(os.environ, prefix, known).items()
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self
