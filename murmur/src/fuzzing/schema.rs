//! The descriptors of `shop.proto`, and of the services over its keys.

/// A `FileDescriptorSet`.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!("shop.binpb");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_descriptors_are_those_of_the_proto() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let templates = here.join("../proto-templates");
        let template = std::fs::read_to_string(templates.join("pipeline.proto.template")).unwrap();
        let mut text = include_str!("shop.proto").to_owned();
        for (stem, value) in [("Places", "uint64"), ("Tastes", "murmur.v1.Frequencies")] {
            let filled = [
                ("{{about}}", format!("{stem}.")),
                ("{{service}}", format!("{stem}Service")),
                ("{{key}}", "PlaceKey".to_owned()),
                ("{{value}}", value.to_owned()),
                ("{{entry}}", format!("{stem}Entry")),
                ("{{point}}", format!("{stem}Point")),
            ];
            text.push_str(&filled.iter().fold(template.clone(), |text, (name, value)| text.replace(name, value)));
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.proto"), text).unwrap();
        let mut compiler = protox::Compiler::new([folder.path(), &templates]).unwrap();
        compiler.include_imports(true).include_source_info(false).open_file("shop.proto").unwrap();
        let made = compiler.encode_file_descriptor_set();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(here.join("src/fuzzing/shop.binpb"), &made).unwrap();
        } else {
            assert!(made == DESCRIPTORS, "shop.binpb is an old one; make it anew with BLESS=1");
        }
    }
}
