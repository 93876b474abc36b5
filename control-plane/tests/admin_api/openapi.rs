//! The description that the repository keeps is the one of this code.

use std::path::Path;

use tidegate_control_plane::admin_api::{openapi_document, openapi_text};

#[test]
fn the_kept_description_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("TIDEGATE_REGENERATE").is_some() {
        std::fs::write(&path, openapi_text()).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == openapi_text(), "control-plane/openapi.json is behind: run `cargo xtask codegen`");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi_document();
    let mut found = 0;
    walk(&document, &mut |pointer| {
        found += 1;
        assert!(document.pointer(pointer.trim_start_matches('#')).is_some(), "{pointer} leads nowhere");
    });
    assert!(found > 50);
}

fn walk(value: &serde_json::Value, see: &mut dyn FnMut(&str)) {
    match value {
        serde_json::Value::Object(fields) => {
            if let Some(pointer) = fields.get("$ref").and_then(serde_json::Value::as_str) {
                see(pointer);
            }
            fields.values().for_each(|value| walk(value, see));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}
