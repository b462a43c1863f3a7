"""The four dialects' recorded answers and requests."""

from . import (
    answers_anthropic,
    answers_gemini,
    answers_openai_chat,
    answers_openai_responses,
    requests_anthropic,
    requests_gemini,
    requests_openai_chat,
    requests_openai_responses,
)

ANSWERS = {
    module.ANSWERS.name: module.ANSWERS
    for module in (
        answers_anthropic,
        answers_openai_chat,
        answers_openai_responses,
        answers_gemini,
    )
}
"""Both by the name of the dialect, as the corpus has it."""

REQUESTS = {
    module.REQUESTS.name: module.REQUESTS
    for module in (
        requests_anthropic,
        requests_openai_chat,
        requests_openai_responses,
        requests_gemini,
    )
}
