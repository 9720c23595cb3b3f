use std::path::Path;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{everything, field, labelled, maps, page_traffic};
use crate::model::{Kind, Label, Package, Shape, Variant};

fn review(package: &Package) -> Review {
    Review::of(&Lock::default(), package)
}

/// A package with a history: renamed, removed and accepted fields, in messages and enums.
fn with_history() -> (Package, Review) {
    let mut package = everything();
    let before = review(&package).lock;
    let event = &mut package.events[0];
    event.fields.retain(|field| field.name != "a_u8" && field.name != "maybe_a_u8");
    event.fields.iter_mut().filter(|field| field.name == "a_uuid").for_each(|field| {
        field.name = "identity".into();
        field.was = Some("a_uuid".into());
    });
    event.fields.iter_mut().filter(|field| field.name == "a_bool").for_each(|field| field.kind = Kind::String);
    event.fields.push(labelled("map_of_messages", Kind::Value("Money".into()), Label::Map(crate::model::MapKey::I32)));
    let Shape::Enum(variants) = &mut package.values[1].shape else { panic!("the fixture has an enum there") };
    variants.remove(0);
    variants.push(Variant { name: "Blue".into(), docs: Vec::new(), number: None, was: None });
    let review = Review::of(&before, &package);
    (package, review)
}

fn all() -> Vec<(&'static str, Review)> {
    vec![
        ("page_traffic", review(&page_traffic())),
        ("everything", review(&everything())),
        ("history", with_history().1),
        ("maps", review(&maps())),
        ("empty", review(&Package { name: "empty.v1".into(), ..Package::default() })),
    ]
}

fn text_of(outputs: &[Output], path: &str) -> String {
    outputs.iter().find(|output| output.path == path).unwrap_or_else(|| panic!("{path} is made")).text.clone()
}

/// Compiles the emitted text as a foreign user would.
fn compile(outputs: &[Output], path: &str) -> Vec<FileDescriptorProto> {
    let folder = tempfile::tempdir().unwrap();
    for output in outputs {
        let file = folder.path().join(&output.path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &output.text).unwrap();
    }
    let root = folder.path().join("proto");
    let mut compiler = protox::Compiler::new([&root]).unwrap();
    compiler.include_imports(true).include_source_info(false);
    compiler.open_file(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    compiler.open_file(root.join("murmur/v1/query.proto")).unwrap();
    compiler.file_descriptor_set().file
}

#[test]
fn the_descriptor_says_what_a_compiler_reads_from_the_text() {
    for (name, review) in all() {
        let outputs = outputs(&review, name);
        let path = names::file(&review.schema.package, name);
        let compiled = compile(&outputs, &path);
        let ours = FileDescriptorSet::decode(&*descriptor_set(&review, name)).unwrap().file;
        assert_eq!(ours.len(), 5, "{name}");
        for file in &ours {
            let file_name = file.name.as_deref().unwrap();
            let theirs = compiled.iter().find(|other| other.name == file.name);
            let Some(theirs) = theirs else {
                // An empty package needs no imports.
                assert!(name == "empty" || file_name.starts_with("google"), "{name}: {file_name} is not reached");
                continue;
            };
            assert_eq!(file, theirs, "{name}: {file_name}");
        }
    }
}

#[test]
fn a_file_stands_after_those_it_imports() {
    let set = FileDescriptorSet::decode(&*descriptor_set(&review(&everything()), "everything")).unwrap();
    let mut seen = Vec::new();
    for file in set.file {
        for import in &file.dependency {
            assert!(seen.contains(import), "{import} comes after {}", file.name());
        }
        seen.push(file.name().to_owned());
    }
}

#[test]
fn murmurs_own_files_are_written_as_they_are_kept() {
    let outputs = outputs(&review(&page_traffic()), "page_traffic");
    for path in ["murmur/v1/types.proto", "murmur/v1/query.proto"] {
        let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(path)).unwrap();
        assert_eq!(text_of(&outputs, &format!("proto/{path}")), kept, "{path}");
    }
}

#[test]
fn contracts_of_the_design_example() {
    for output in outputs(&review(&page_traffic()), "page-traffic") {
        if !output.path.starts_with("proto/murmur/v1") {
            insta::assert_snapshot!(output.path.replace('/', "-"), output.text);
        }
    }
}

#[test]
fn contracts_of_everything() {
    let outputs = outputs(&with_history().1, "everything");
    for path in [LOCK, OPENAPI, "proto/shop/murmur/google/v1/everything.proto"] {
        insta::assert_snapshot!(format!("everything-{}", path.replace('/', "-")), text_of(&outputs, path));
    }
}

#[test]
fn equal_definitions_are_equal_bytes() {
    let mut shuffled = everything();
    shuffled.values.reverse();
    shuffled.pipelines.reverse();
    let (a, b) = (review(&everything()), review(&shuffled));
    assert_eq!(outputs(&a, "shop"), outputs(&b, "shop"));
    assert_eq!(descriptor_set(&a, "shop"), descriptor_set(&b, "shop"));
}

/// The rules of buf's STANDARD set that a generator could break.
#[test]
fn protos_follow_the_style_that_linters_ask_for() {
    let snake = |name: &str| names::snake(name) == name && !name.contains("__");
    let pascal = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('_');
    for (name, review) in all() {
        let set = FileDescriptorSet::decode(&*descriptor_set(&review, name)).unwrap();
        let used = |types: &[&str], import: &str| {
            let package = if import.starts_with("murmur/") { ".murmur.v1." } else { ".google.protobuf." };
            let stem = Path::new(import).file_stem().unwrap().to_str().unwrap().to_owned();
            types.iter().any(|ty| {
                ty.strip_prefix(package)
                    .is_some_and(|rest| package != ".google.protobuf." || rest.to_lowercase() == stem)
            })
        };
        for file in set.file.iter().filter(|file| !file.name().starts_with("google/")) {
            let directory = Path::new(file.name()).parent().unwrap().to_str().unwrap().replace('/', ".");
            assert_eq!(directory, file.package(), "PACKAGE_DIRECTORY_MATCH");
            assert!(names::is_package(file.package()), "PACKAGE_VERSION_SUFFIX");
            for import in &file.dependency {
                let fields = file
                    .message_type
                    .iter()
                    .flat_map(|m| m.field.iter().chain(m.nested_type.iter().flat_map(|n| &n.field)));
                let types: Vec<&str> = fields.map(|field| field.type_name()).collect();
                assert!(used(&types, import), "IMPORT_USED: {import} in {}", file.name());
            }
            for message in &file.message_type {
                assert!(pascal(message.name()), "MESSAGE_PASCAL_CASE: {}", message.name());
                for field in &message.field {
                    assert!(snake(field.name()), "FIELD_LOWER_SNAKE_CASE: {}", field.name());
                }
            }
            for item in &file.enum_type {
                let prefix = format!("{}_", names::screaming(item.name()));
                for value in &item.value {
                    assert!(value.name().starts_with(&prefix), "ENUM_VALUE_PREFIX: {}", value.name());
                }
                assert_eq!(item.value[0].number(), 0, "ENUM_FIRST_VALUE_ZERO");
                assert!(item.value[0].name().ends_with("_UNSPECIFIED"), "ENUM_ZERO_VALUE_SUFFIX");
            }
            for service in &file.service {
                assert!(service.name().ends_with("Service"), "SERVICE_SUFFIX");
                for method in &service.method {
                    let base = format!(".{}.", file.package());
                    for (ty, suffix) in [(method.input_type(), "Request"), (method.output_type(), "Response")] {
                        let names = [
                            format!("{base}{}{suffix}", method.name()),
                            format!("{base}{}{}{suffix}", service.name(), method.name()),
                        ];
                        assert!(names.iter().any(|name| name == ty), "RPC_REQUEST_STANDARD_NAME: {ty}");
                    }
                }
            }
        }
    }
}

#[test]
fn documentation_becomes_comments() {
    let text = text_of(&outputs(&review(&page_traffic()), "page_traffic"), "proto/page_traffic/v1/page_traffic.proto");
    for wanted in [
        "// Traffic per page, over any window of up to 90 days.\n//\n// A second paragraph.\nservice PageTrafficService {",
        "// One view of one page.\nmessage PageView {",
        "// What is known about a page.\nmessage Traffic {",
        "  // Path of the page.\n  string page_id = 1;",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
}

#[test]
fn tables_read_back_as_what_aws_asks_for() {
    let review = review(&everything());
    let outputs = outputs(&review, "shop");
    let read = |path: &str| -> Value { serde_json::from_str(&text_of(&outputs, path)).unwrap() };
    let cloud = read("schema/cloudformation.json");
    assert_eq!(cloud["Resources"].as_object().unwrap().len(), 4);
    for table in ["all_v1", "likes_v1", "rolled_v1", "keyless_v1"] {
        let create = read(&format!("schema/dynamodb/{table}.json"));
        assert_eq!(create["TableName"], table);
        assert_eq!(create["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(create["DeletionProtectionEnabled"], true);
        assert_eq!(create["KeySchema"][0], json!({"AttributeName": "pk", "KeyType": "HASH"}));
        assert_eq!(create["KeySchema"][1], json!({"AttributeName": "sk", "KeyType": "RANGE"}));
        // The service refuses definitions that no key uses, and keys without a definition.
        let names = |list: &Value| -> Vec<Value> {
            list.as_array().unwrap().iter().map(|entry| entry["AttributeName"].clone()).collect()
        };
        assert_eq!(names(&create["AttributeDefinitions"]), names(&create["KeySchema"]));
        for tag in create["Tags"].as_array().unwrap() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || " +-=._:/@,".contains(c);
            assert!(tag["Value"].as_str().unwrap().chars().all(allowed), "{tag}");
        }

        let ttl = read(&format!("schema/dynamodb/{table}.ttl.json"));
        assert_eq!(ttl["TableName"], table);
        assert_eq!(ttl["TimeToLiveSpecification"], json!({"AttributeName": "x", "Enabled": true}));

        let resource = &cloud["Resources"][names::marker(table)];
        assert_eq!(resource["Type"], "AWS::DynamoDB::Table");
        assert_eq!(
            (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
            (&json!("Retain"), &json!("Retain"))
        );
        let properties = &resource["Properties"];
        for (name, value) in create.as_object().unwrap() {
            assert_eq!(&properties[name], value, "{name} differs");
        }
        assert_eq!(properties["TimeToLiveSpecification"], ttl["TimeToLiveSpecification"]);
        assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);

        let terraform = read(&format!("schema/terraform/{table}.tf.json"));
        let resource = &terraform["resource"]["aws_dynamodb_table"][table];
        assert_eq!(resource["name"], table);
        assert_eq!((&resource["hash_key"], &resource["range_key"]), (&json!("pk"), &json!("sk")));
        assert_eq!(resource["attribute"].as_array().unwrap().len(), 2);
        assert_eq!(resource["ttl"], json!({"attribute_name": "x", "enabled": true}));
        assert_eq!(resource["lifecycle"]["prevent_destroy"], true);
        for tag in create["Tags"].as_array().unwrap() {
            assert_eq!(resource["tags"][tag["Key"].as_str().unwrap()], tag["Value"]);
        }
    }
}

/// Real Terraform with the AWS provider, where the machine has both.
#[test]
fn terraform_accepts_the_tables() {
    use std::process::Command;
    let plugins = std::env::var("MURMUR_TERRAFORM_PLUGINS").unwrap_or_else(|_| "/opt/tf-plugins".into());
    if !Path::new(&plugins).is_dir() || Command::new("terraform").arg("version").output().is_err() {
        eprintln!("not run: terraform with the AWS provider is not on this machine (MURMUR_TERRAFORM_PLUGINS)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for output in outputs(&review(&everything()), "shop") {
        if let Some(name) = output.path.strip_prefix("schema/terraform/") {
            std::fs::write(folder.path().join(name), &output.text).unwrap();
        }
    }
    let run = |arguments: &[&str]| {
        let output = Command::new("terraform").current_dir(folder.path()).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "terraform {arguments:?}: {said}");
    };
    run(&["init", "-input=false", "-no-color", &format!("-plugin-dir={plugins}")]);
    run(&["validate", "-no-color"]);
}

#[test]
fn a_oneof_takes_a_name_that_no_variant_has() {
    let mut package = page_traffic();
    package.values.push(crate::model::Value {
        name: "Choice".into(),
        docs: Vec::new(),
        shape: Shape::OneOf(vec![field("kind", Kind::String), field("variant", Kind::Bool)]),
    });
    let text = text_of(&outputs(&review(&package), "shop"), "proto/page_traffic/v1/shop.proto");
    assert!(text.contains("oneof one_of {"), "{text}");
}

#[test]
fn files_of_what_is_gone_are_named() {
    let before = review(&page_traffic()).lock;
    let mut package = page_traffic();
    package.name = "traffic.v2".into();
    package.pipelines[0].name = "visits".into();
    let review = Review::of(&before, &package);
    assert_eq!(
        stale(&before, &review, "shop"),
        [
            "schema/dynamodb/page_traffic_v1.json",
            "schema/dynamodb/page_traffic_v1.ttl.json",
            "schema/terraform/page_traffic_v1.tf.json",
            "proto/page_traffic/v1/shop.proto",
        ]
    );
}

#[test]
fn the_methods_that_names_knows_are_those_of_the_template() {
    let review = review(&page_traffic());
    let rpcs: Vec<&str> = review.lock.services["PageTrafficService"].rpcs.keys().map(String::as_str).collect();
    let mut methods = names::METHODS;
    methods.sort_unstable();
    assert_eq!(rpcs, methods);
}

/// A client says which revision it was made by: see `REVISION`.
#[test]
fn who_adds_a_field_to_murmurs_own_messages_counts_it() {
    let descriptors = descriptor_set(&review(&page_traffic()), "page_traffic");
    let text: String = descriptors.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (REVISION, crate::fingerprint::hash(&text)),
        (2, 14_067_762_499_935_478_629),
        "the next REVISION, and the number on the left here"
    );
}
