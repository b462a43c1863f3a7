"""ResourceConfig: files, accounts, endpoints; and that no secret shows on the way."""

from __future__ import annotations

import json
import logging
import pickle
import re
import sys
import tomllib
import traceback
from pathlib import Path
from typing import Any

import pytest

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelProviderEnum,
)
from dhenara_stream.types.genai.foundation_models import ALL_FOUNDATION_MODELS
from dhenara_stream.types.genai.foundation_models.anthropic.chat import (
    ClaudeHaiku45,
    ClaudeSonnet45,
)
from dhenara_stream.types.genai.foundation_models.deepseek.chat import DeepseekV4Flash
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT5
from dhenara_stream.types.resource import (
    CredentialsFileNotFoundError,
    ResourceConfig,
    ResourceConfigItem,
    ResourceConfigItemTypeEnum,
    ResourceQueryFieldsEnum,
)
from dhenara_stream.types.resource._mapping import MODEL_TO_API_MAPPING

SECRET = "sk-very-secret-0123456789"

YAML = f"""\
anthropic:
  api_key: {SECRET}
  credentials:
  config: {{base_url: "https://proxy.example"}}
google_vertex_ai:
  config: {{project_id: p, location: europe-west1}}
"""
TOML = f"""\
[anthropic]
api_key = "{SECRET}"
config = {{base_url = "https://proxy.example"}}
[google_vertex_ai.config]
project_id = "p"
location = "europe-west1"
"""
JSON = json.dumps(tomllib.loads(TOML))


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(path: Path, **options: Any) -> ResourceConfig:
    config = ResourceConfig()
    config.load_from_file(path, **options)
    return config


@pytest.fixture
def full(tmp_path: Path) -> ResourceConfig:
    """Endpoints of three models at two providers."""
    models = [ClaudeSonnet45, ClaudeHaiku45, Gemini25Flash]
    return loaded(write(tmp_path, "c.toml", TOML), models=models, init_endpoints=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.yaml", YAML), ("c.yml", YAML), ("c.json", JSON), ("C.TOML", TOML)],
)
def test_each_format_gives_the_same_accounts(tmp_path: Path, name: str, text: str) -> None:
    config = loaded(write(tmp_path, name, text), strict=True)
    anthropic, vertex = config.model_apis
    assert anthropic.provider == AIModelAPIProviderEnum.ANTHROPIC
    assert anthropic.api_key is not None
    assert anthropic.api_key == SECRET
    assert anthropic.config == {"base_url": "https://proxy.example"}
    assert vertex.config == {"project_id": "p", "location": "europe-west1"}
    assert config.models == []
    assert config.model_endpoints == []


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode()
    assert len(loaded(write(tmp_path, "c.toml", text)).model_apis) == 2


@pytest.mark.parametrize("name", ["dai_credentials.yaml", "dai_credentials.json"])
def test_the_environment_names_the_default_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path, name, JSON)  # JSON is YAML, too
    monkeypatch.setenv("DAI_SECRET_CONFIG_DIR", f" {tmp_path} ")
    config = ResourceConfig()
    config.load_from_file()
    assert len(config.model_apis) == 2


def test_without_the_environment_the_default_directory_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.delenv("DAI_SECRET_CONFIG_DIR", raising=False)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    monkeypatch.setattr(Path, "read_bytes", unreadable)
    expected = r"/run/secrets/dai/dai_credentials\.yaml: cannot be read: Permission denied"
    with pytest.raises(ConfigError, match=expected):
        ResourceConfig().load_from_file()


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "c.json", JSON)
    config = ResourceConfig()
    config.load_from_file("~/c.json")
    assert len(config.model_apis) == 2


def test_a_missing_file_is_a_config_error_and_a_file_not_found_error(tmp_path: Path) -> None:
    missing = CredentialsFileNotFoundError
    with pytest.raises(missing, match=r"none\.json: no such credentials file") as caught:
        loaded(tmp_path / "none.json")
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, FileNotFoundError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_a_missing_default_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAI_SECRET_CONFIG_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"dai_credentials\.yaml.*DAI_SECRET_CONFIG_DIR"):
        ResourceConfig().load_from_file()


def test_a_directory_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir()
    with pytest.raises(ConfigError, match=r"c\.json: cannot be read: Is a directory"):
        loaded(tmp_path / "c.json")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.ini: unknown file format; use one of \.yaml,"):
        loaded(write(tmp_path, "c.ini", TOML))


def test_yaml_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"c\.yaml: .*pip install 'dhenara-stream\[yaml\]'"):
        loaded(write(tmp_path, "c.yaml", YAML))


BROKEN = [
    ("c.json", f'{{\n"openai": {{"api_key": "{SECRET}",}}}}', "line 2"),
    ("c.json", f'["{SECRET}"]', "expected providers at the top level"),
    ("c.toml", f'[openai]\napi_key = "{SECRET}', "not TOML: .*at end of document"),
    ("c.toml", f"[openai]\napi_key = {SECRET}", "line 2"),
    ("c.yaml", f"openai:\n  api_key: [{SECRET}", r"not YAML at line 2, column 38"),
    ("c.yaml", f"openai:\n  api_key: *{SECRET}", "not YAML at line 2"),
    ("c.yaml", f"openai: {{api_key: {SECRET}\x07}}", "not YAML$"),
    ("c.yaml", f"openai: {{api_key: {SECRET}, since: 2020-13-45}}", "not YAML$"),
    ("c.yaml", SECRET, "expected providers at the top level"),
    ("c.yaml", "", "expected providers at the top level"),
    ("c.json", SECRET.encode() + b"\xff", f"not UTF-8 text at byte {len(SECRET)}"),
]


@pytest.mark.parametrize(("name", "text", "message"), BROKEN)
def test_a_broken_file_is_named_with_the_place_and_no_content(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        loaded(write(tmp_path, name, text))
    error = caught.value
    assert str(error).startswith(f"{tmp_path / name}: ")
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = "".join(report.format()).split("dhenara_stream/", 1)[1]
    assert SECRET not in frames


WRONG_ENTRIES = [
    ("openai", {"api_key": ""}, "needs an API key"),
    ("openai", {"api_key": None}, "needs an API key"),
    ("openai", {"api_key": SECRET + "\n"}, "whitespace or a line end"),
    ("openai", {"api_key": 123456789}, "expected `str"),
    ("openai", {"apikey": SECRET}, "no field 'apikey'; did you mean 'api_key'?"),
    ("openai", {1: SECRET}, "no field '1'"),
    ("openai", SECRET, "expected fields like api_key, credentials and config"),
    ("opnai", {"api_key": SECRET}, "allowed: 'openai'"),
    ("amazon_bedrock", {"api_key": SECRET}, "needs 'region'"),
    ("anthropic", {"api_key": " <YOUR_ANTHROPIC_API_KEY>\n"}, "api_key: is still the template's"),
    (
        "google_vertex_ai",
        {
            "credentials": {"service_account_json": {"private_key": "<YOUR_PRIVATE_KEY>"}},
            "config": {"project_id": "p", "location": "<YOUR_LOCATION>"},
        },
        "credentials.service_account_json.private_key: is still the template's placeholder",
    ),
]


@pytest.mark.parametrize(("provider", "entry", "message"), WRONG_ENTRIES)
def test_an_entry_that_makes_no_account_is_logged_and_skipped(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    provider: str,
    entry: Any,
    message: str,
) -> None:
    text = json.dumps({provider: entry, "deepseek": {"api_key": SECRET}})
    path = write(tmp_path, "c.json", text)
    config = loaded(path)
    assert [api.provider for api in config.model_apis] == ["deepseek"]
    assert f"{path}: {provider}: " in caplog.text
    assert message in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("provider", "entry", "message"), WRONG_ENTRIES)
def test_strict_raises_for_such_an_entry_and_adds_nothing(
    tmp_path: Path, provider: str, entry: Any, message: str
) -> None:
    text = json.dumps({"deepseek": {"api_key": SECRET}, provider: entry})
    config = ResourceConfig()
    with pytest.raises(ConfigError) as caught:
        config.load_from_file(write(tmp_path, "c.json", text), strict=True)
    assert message in str(caught.value)
    assert f"c.json: {provider}: " in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert config.model_apis == []


def test_secrets_do_not_show_in_a_config(full: ResourceConfig) -> None:
    shown = [repr(full), str(full.model_dump()), full.model_dump_json()]
    assert not any(SECRET in text for text in shown)


def test_each_model_gets_the_first_account_that_serves_it(full: ResourceConfig) -> None:
    made = {e.ai_model.model_name: e.api.provider for e in full.model_endpoints}
    assert made == {
        "claude-sonnet-4-5": "anthropic",
        "claude-haiku-4-5": "anthropic",
        "gemini-2.5-flash": "google_vertex_ai",
    }
    references = [endpoint.reference_number for endpoint in full.model_endpoints]
    assert references[0] == "claude-sonnet-4-5_anthropic"
    assert full.model_endpoints[0].ai_model is ClaudeSonnet45
    assert full.model_endpoints[0].api is full.get_api("anthropic")


def test_without_models_all_foundation_models_are_taken(tmp_path: Path) -> None:
    config = loaded(write(tmp_path, "c.toml", TOML), init_endpoints=True)
    assert config.models == ALL_FOUNDATION_MODELS
    makers = {endpoint.ai_model.provider for endpoint in config.model_endpoints}
    assert makers == {AIModelProviderEnum.ANTHROPIC, AIModelProviderEnum.GOOGLE_AI}
    references = [endpoint.reference_number for endpoint in config.model_endpoints]
    assert len(references) == len(set(references))


def test_models_given_before_are_kept_and_duplicates_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, "c.toml", TOML)
    config = ResourceConfig(models=[ClaudeSonnet45, ClaudeSonnet45, DeepseekV4Flash])
    config.load_from_file(path, init_endpoints=True)
    config.load_from_file(path, init_endpoints=True)
    assert [e.reference_number for e in config.model_endpoints] == ["claude-sonnet-4-5_anthropic"]
    assert len(config.model_apis) == 4


def test_a_model_of_the_users_own_goes_to_an_openai_compatible_server(tmp_path: Path) -> None:
    entry = {"openai_compatible": {"config": {"base_url": "https://server.example/v1"}}}
    model = GPT5.create_instance("llama", provider=AIModelProviderEnum.META)
    path = write(tmp_path, "c.json", json.dumps(entry))
    config = loaded(path, models=[model], init_endpoints=True)
    endpoint = config.get_model_endpoint("llama", "openai_compatible")
    assert endpoint is not None
    assert endpoint.ai_model is model


def test_every_maker_has_api_providers() -> None:
    assert MODEL_TO_API_MAPPING.keys() == set(AIModelProviderEnum)
    assert MODEL_TO_API_MAPPING[AIModelProviderEnum.ANTHROPIC] == (
        "anthropic",
        "amazon_bedrock",
        "google_vertex_ai",
    )


def test_get_api_finds_by_provider_or_takes_the_first(full: ResourceConfig) -> None:
    vertex = full.get_api(AIModelAPIProviderEnum.GOOGLE_VERTEX_AI)
    assert vertex is full.model_apis[1]
    assert full.get_api() is full.model_apis[0]
    assert full.get_api("openai") is None
    assert ResourceConfig().get_api() is None


def test_get_model_endpoint_finds_by_model_and_provider(full: ResourceConfig) -> None:
    at_vertex = AIModelEndpoint(api=full.model_apis[1], ai_model=ClaudeSonnet45)
    full.model_endpoints.append(at_vertex)
    assert full.get_model_endpoint("claude-sonnet-4-5") is full.model_endpoints[0]
    assert full.get_model_endpoint("claude-sonnet-4-5", "google_vertex_ai") is at_vertex
    assert full.get_model_endpoint("claude-haiku-4-5", "openai") is None


@pytest.mark.parametrize(
    "query",
    [
        {"model_display_name": "Claude Haiku 4.5"},
        {"reference_number": "claude-haiku-4-5_anthropic"},
        {ResourceQueryFieldsEnum.model_name: "claude-haiku-4-5", "api_provider": "anthropic"},
    ],
)
def test_get_resource_matches_every_key(full: ResourceConfig, query: dict[str, str]) -> None:
    item = ResourceConfigItem(item_type="ai_model_endpoint", query=query)  # type: ignore[arg-type]
    found = full.get_resource(item)
    assert found is not None
    assert found.ai_model is ClaudeHaiku45


def test_a_resource_that_is_not_there_is_logged(
    full: ResourceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert full.get_model_endpoint("gpt-5") is None
    assert "no ai_model_endpoint with model_name=gpt-5" in caplog.text
    item = ResourceConfigItem(item_type=ResourceConfigItemTypeEnum.rag_endpoint, query={})
    assert item.query is not None
    item.query["model_name"] = "claude-haiku-4-5"  # what is changed in place is not checked
    assert full.get_resource(item) is None


def test_a_resource_without_a_query_is_refused(full: ResourceConfig) -> None:
    item = ResourceConfigItem(item_type=ResourceConfigItemTypeEnum.search_endpoint)
    with pytest.raises(ConfigError, match=r"ResourceConfigItem\.query"):
        full.get_resource(item)


@pytest.mark.parametrize("kind", ResourceConfigItemTypeEnum)
def test_an_item_refuses_unknown_keys(kind: ResourceConfigItemTypeEnum) -> None:
    with pytest.raises(ConfigError, match=rf"no key 'name' for {kind} \(keys: (api_|none)"):
        ResourceConfigItem(item_type=kind, query={"name": "x"})


def test_items_are_made_from_model_names_and_back() -> None:
    items = ResourceConfigItem.with_models(["a", "b"])
    assert [item.is_default for item in items] == [True, False]
    assert items[0].query == {"model_name": "a"}
    other = ResourceConfigItem(
        item_type=ResourceConfigItemTypeEnum.ai_model_endpoint,
        query={"reference_number": "r"},
    )
    bare = ResourceConfigItem(item_type=ResourceConfigItemTypeEnum.rag_endpoint)
    items += [other, bare]
    assert ResourceConfigItem.get_model_names(items) == ["a", "b"]
    assert ResourceConfigItem.has_model(items, "b")
    assert not ResourceConfigItem.has_model(items, "c")


def test_items_are_the_same_when_they_ask_for_the_same() -> None:
    a, b = ResourceConfigItem.with_models(["a", "b"])
    bare = ResourceConfigItem(item_type=ResourceConfigItemTypeEnum.ai_model_endpoint)
    rag = ResourceConfigItem(item_type=ResourceConfigItemTypeEnum.rag_endpoint)
    assert a.is_same_as(ResourceConfigItem.with_model("a")[0])
    assert not a.is_same_as(b)
    assert not a.is_same_as(bare)
    assert not bare.is_same_as(bare)
    assert not a.is_same_as(rag)


@pytest.mark.parametrize("name", ["t.yaml", "t.yml", "t.json", "t.toml"])
def test_a_filled_template_loads_and_has_every_provider(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    ResourceConfig.create_credentials_template(path)
    path.write_text(re.sub(r"<(YOUR_\w+)>", r"\1", path.read_text()))
    apis = {api.provider: api for api in loaded(path, strict=True).model_apis}
    gone = AIModelAPIProviderEnum.MICROSOFT_AZURE_AI
    assert apis.keys() == set(AIModelAPIProviderEnum) - {gone}
    assert apis[AIModelAPIProviderEnum.ANTHROPIC].api_key == "YOUR_ANTHROPIC_API_KEY"
    vertex: AIModelAPI = apis[AIModelAPIProviderEnum.GOOGLE_VERTEX_AI]
    assert vertex.credentials is not None
    assert vertex.credentials["service_account_json"]["type"] == "service_account"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["t.yaml", "t.yml", "t.json", "t.toml"])
def test_a_template_that_is_not_filled_in_makes_no_account(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = tmp_path / name
    ResourceConfig.create_credentials_template(path)
    assert loaded(path).model_apis == []
    assert caplog.text.count("is still the template's placeholder") == 8
    with pytest.raises(ConfigError, match=rf"{name}: openai: api_key: is still the template's"):
        loaded(path, strict=True)


def test_the_template_goes_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ResourceConfig.create_credentials_template()
    assert "DAI_SECRET_CONFIG_DIR" in (tmp_path / "credentials.yaml").read_text()


def test_a_template_never_overwrites(tmp_path: Path) -> None:
    path = write(tmp_path, "c.json", JSON)
    with pytest.raises(ConfigError, match=r"c\.json: exists already"):
        ResourceConfig.create_credentials_template(path)
    assert path.read_text() == JSON


def test_a_template_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"t\.json: cannot be written: No such file"):
        ResourceConfig.create_credentials_template(tmp_path / "none" / "t.json")
    with pytest.raises(ConfigError, match=r"t\.txt: unknown file format"):
        ResourceConfig.create_credentials_template(tmp_path / "t.txt")
