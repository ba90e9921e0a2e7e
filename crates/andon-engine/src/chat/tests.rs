use andon_task::engine::{CallForm, Chat, Message, Role, Tool, ToolCall};
use serde_json::json;

use super::{CUT, Template, with_texts};

/// In the manner of Qwen 2.5.
const TAGGED: &str = "\
{%- if tools %}
<|s|>system
{%- for tool in tools %}
{{ '\\n' }}{{- tool | tojson }}
{%- endfor %}
{{ '\\n<|e|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' and message.tool_calls %}
{{- '<|s|>assistant' }}
{%- for call in message.tool_calls %}
{%- if call.function is defined %}{%- set call = call.function %}{%- endif %}
{{- '\\n<tool_call>\\n{\"name\": \"' + call.name + '\", \"arguments\": ' + (call.arguments | tojson) + '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|e|>\\n' }}
{%- else %}
{{- '<|s|>' + message.role + '\\n' + message.content + '<|e|>\\n' }}
{%- endif %}
{%- endfor %}
{{- '<|s|>assistant\\n' }}";

/// In the manner of Llama 3.
const PLAIN: &str = "\
{%- if tools is not none %}Respond as {\"name\": name, \"parameters\": {}}.
{% for t in tools %}{{ t | tojson(indent=4) }}{% endfor %}
{%- endif %}
{%- for m in messages %}
{%- if 'tool_calls' in m %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{%- endif %}
{%- set call = m.tool_calls[0].function %}
{{- '{\"name\": \"' + call.name + '\", \"parameters\": ' }}{{ call.arguments | tojson }}{{ '}|' }}
{%- else %}
{{- m.role + ':' + m.content + '|' }}
{%- endif %}
{%- endfor %}";

const SIMPLE: &str = "{% for m in messages %}{{ m.role + ':' + m.content + '|' }}{% endfor %}";

const NO_SYSTEM: &str = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% for m in messages %}{{ m.role + ':' + m.content + '|' }}{% endfor %}";

fn chat() -> Chat {
    Chat {
        messages: vec![
            Message::new(Role::User, "Level?"),
            Message {
                calls: vec![ToolCall {
                    name: "level".to_owned(),
                    arguments: json!({"tank": "T<1>", "deep": [1, 2.5]}),
                }],
                ..Message::new(Role::Assistant, "")
            },
            Message::new(Role::Tool, "80 %"),
            Message::new(Role::Tool, "ok"),
        ],
        tools: vec![Tool {
            name: "level".to_owned(),
            description: Some("The tank's level".to_owned()),
            parameters: json!({"type": "object", "properties": {"tank": {"type": "string"}}}),
        }],
    }
}

fn render(template: &str, chat: &Chat) -> Result<String, String> {
    let template = Template::new(template, String::new(), String::new()).expect("a template");
    template.render(chat)
}

const TOOL: &str = r#"{"type": "function", "function": {"name": "level", "description": "The tank's level", "parameters": {"type": "object", "properties": {"tank": {"type": "string"}}}}}"#;

#[test]
fn a_template_that_knows_tools_gets_them_as_it_was_trained_with() {
    let text = render(TAGGED, &chat()).expect("text");
    let call = r#"<tool_call>
{"name": "level", "arguments": {"tank": "T<1>", "deep": [1, 2.5]}}
</tool_call>"#;
    let expected = format!(
        "<|s|>system\n{TOOL}\n<|e|>\n<|s|>user\nLevel?<|e|>\n<|s|>assistant\n{call}<|e|>\n<|s|>tool\n80 %<|e|>\n<|s|>tool\nok<|e|>\n<|s|>assistant\n"
    );
    assert_eq!(text, expected);
    let text = render(PLAIN, &chat()).expect("text");
    assert!(
        text.contains("{\n    \"type\": \"function\",\n    \"function\": {"),
        "{text}"
    );
    let call = r#"user:Level?|{"name": "level", "parameters": {"tank": "T<1>", "deep": [1, 2.5]}}|tool:80 %|"#;
    assert!(text.contains(call), "{text}");
    let plain = render(PLAIN, &vec![Message::new(Role::User, "hi")].into());
    assert_eq!(plain.expect("text"), "user:hi|");
}

#[test]
fn a_template_that_knows_no_tools_is_told_in_words() {
    let check = |template, beginning: &str| {
        let text = render(template, &chat()).expect("text");
        assert!(text.starts_with(beginning), "{text}");
        assert!(
            text.contains(&format!("<tools>\n{TOOL}\n</tools>")),
            "{text}"
        );
        let end = "Level?|assistant:<tool_call>\n{\"name\": \"level\", \"arguments\": {\"tank\": \"T<1>\", \"deep\": [1, 2.5]}}\n</tool_call>|user:<tool_response>\n80 %\n</tool_response>\n<tool_response>\nok\n</tool_response>|";
        assert!(text.ends_with(end), "{text}");
    };
    check(SIMPLE, "system:You may call functions.");
    check(NO_SYSTEM, "user:You may call functions.");
    let mut with_system = chat();
    let system = Message::new(Role::System, "Be short.");
    with_system.messages.insert(0, system);
    let text = render(SIMPLE, &with_system).expect("text");
    assert!(
        text.starts_with("system:Be short.\n\nYou may call"),
        "{text}"
    );
}

#[test]
fn the_form_of_calls_is_that_of_the_template() {
    let check = |template, form| {
        let template = Template::new(template, String::new(), String::new()).expect("one");
        assert_eq!(template.call_form(), form);
    };
    check(TAGGED, CallForm::Tagged);
    check(PLAIN, CallForm::Plain);
    check(SIMPLE, CallForm::Tagged);
}

#[test]
fn every_text_of_a_chat_is_cut() {
    let mut chat = chat();
    chat.tools[0].parameters = json!({"<|e|>": ["<|e|>", {"a": "<|e|>"}], "n": 1});
    chat.tools[0].description = Some("<|e|>".to_owned());
    chat.messages[1].calls[0].arguments = json!({"<|e|>": "<|e|>"});
    chat.messages[2].content = "<|e|>".to_owned();
    let cut = with_texts(&chat, &|text| text.replace("<|e|>", &format!("<{CUT}|e|>")));
    let text = render(SIMPLE, &cut).expect("text");
    assert!(!text.contains("<|e|>"), "{text}");
    assert_eq!(text.matches(CUT).count(), 7, "{text}");
}

#[test]
fn a_wide_indentation_is_refused() {
    let wide = "{{ messages | tojson(indent=17) }}{{ tools }}";
    let error = render(wide, &vec![Message::new(Role::User, "hi")].into());
    let error = error.expect_err("too wide");
    assert!(error.contains("16 spaces at most"), "{error}");
}
