"""Finding a model by its name."""

from collections.abc import Sequence

from dhenara_stream.types.genai.ai_model import FoundationModel

from .constants import ALL_FOUNDATION_MODELS

__all__ = ["FoundationModelFns"]


class FoundationModelFns:
    """Look-ups in the lists of foundation models."""

    @staticmethod
    def get_foundation_model(
        name: str, all_models: Sequence[FoundationModel] | None = None
    ) -> FoundationModel | None:
        """The first model whose ``model_name`` is ``name``, or ``None``.

        ``all_models`` is searched in place of ``ALL_FOUNDATION_MODELS``.
        """
        models = ALL_FOUNDATION_MODELS if all_models is None else all_models
        return next((model for model in models if model.model_name == name), None)
