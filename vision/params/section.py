"""What every section of params.yaml is built on."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vision.params.messages import nearest

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A mapping of params.yaml: unknown keys and silent conversions are errors."""

    model_config = ConfigDict(frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, content: Any) -> Any:
        unknown = (
            [key for key in content if key not in cls.model_fields]
            if isinstance(content, dict)
            else []
        )
        if unknown:
            hints = [
                f"{key!r} is not a known key{nearest(str(key), cls.model_fields)}"
                for key in unknown
            ]
            raise ValueError("; ".join(hints))
        return content
