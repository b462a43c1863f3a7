"""Which API providers serve whose models, the preferred one first."""

from dhenara_stream.types.genai.ai_model import AIModelAPIProviderEnum as Api
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum as Maker

__all__ = ["MODEL_TO_API_MAPPING"]

MODEL_TO_API_MAPPING: dict[Maker, tuple[Api, ...]] = {
    Maker.ANTHROPIC: (Api.ANTHROPIC, Api.AMAZON_BEDROCK, Api.GOOGLE_VERTEX_AI),
    Maker.OPEN_AI: (Api.OPEN_AI, Api.MICROSOFT_OPENAI),
    Maker.GOOGLE_AI: (Api.GOOGLE_VERTEX_AI, Api.GOOGLE_AI),
    Maker.DEEPSEEK: (Api.DEEPSEEK, Api.MICROSOFT_OPENAI),
    Maker.CUSTOM: (Api.OPENAI_COMPATIBLE,),
    Maker.META: (Api.OPENAI_COMPATIBLE,),
    Maker.COHERE: (Api.OPENAI_COMPATIBLE,),
}
