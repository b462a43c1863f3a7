"""llama.cpp's server with a model of random numbers, made on the spot.

Run with the Python that has xllamacpp and gguf, and with a path for the model. It answers nonsense,
the same for the same seed; but it computes it, splits characters over tokens, and stops where the
limit is, as any model.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

# By name, for the checks run where none of them is.
gguf: Any = import_module("gguf")
numpy: Any = import_module("numpy")
xllamacpp: Any = import_module("xllamacpp")

WIDTH, HEADS, INNER, LAYERS = 64, 4, 128, 2
CONTEXT = 2048
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"

FIRST_BYTE = 3  # the token of the byte 0
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = [
    *("<unk>", "<s>", "</s>"),
    *(f"<0x{byte:02X}>" for byte in range(256)),
    *("\u2581", *(f"\u2581{letter}" for letter in LETTERS), *LETTERS),
]
# Those that begin a character of several bytes: the server says nothing before it is whole.
LEADS = slice(FIRST_BYTE + 0xC2, FIRST_BYTE + 0xF5)


def make_model(path: str) -> None:
    """Write the model: a small Llama that likes to begin characters."""
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    types += [kinds.NORMAL] * (len(TOKENS) - len(types))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.encode() for token in TOKENS])
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)

    random = numpy.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return random.normal(0, 0.3, shape).astype(numpy.float32)

    def even() -> Any:
        return numpy.ones(WIDTH, numpy.float32)

    # One number of each state is large whatever was said; it makes the leads likely.
    embedding, output = weights(len(TOKENS), WIDTH), weights(len(TOKENS), WIDTH)
    embedding[:, 0], output[:, 0], output[LEADS, 0] = 4.0, 0.0, 0.8
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", even())
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", even())
        writer.add_tensor(f"{block}.ffn_norm.weight", even())
        for part in ("q", "k", "v", "output"):
            writer.add_tensor(f"{block}.attn_{part}.weight", weights(WIDTH, WIDTH))
        writer.add_tensor(f"{block}.ffn_gate.weight", weights(INNER, WIDTH))
        writer.add_tensor(f"{block}.ffn_up.weight", weights(INNER, WIDTH))
        writer.add_tensor(f"{block}.ffn_down.weight", weights(WIDTH, INNER))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path: str) -> None:
    """Serve a model until the process is killed."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT
    params.n_parallel = 2
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    make_model(sys.argv[1])
    serve(sys.argv[1])
