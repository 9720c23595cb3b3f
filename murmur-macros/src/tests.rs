//! The expansions, fit to read, and what comes of input that makes no sense.
//!
//! `tests/expand/<name>.rs` holds annotated items; `<name>.expanded.rs` what they become. `BLESS=1` writes the latter.

use std::path::{Path, PathBuf};

use murmur_spec::ctxt::Ctxt;
use murmur_spec::find::{Scope, annotated};
use murmur_spec::handover::{Crate, Message};
use murmur_spec::item;
use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::build::Build;
use crate::expand::attribute;
use crate::main_macro;
use murmur_spec::item::Marker;

/// A build step that saw all items of the source and gave numbers unlike the positions.
fn build(source: &str) -> Build {
    let file = syn::parse_file(source).unwrap();
    let ctxt = Ctxt::new();
    let scope = Scope { runtimes: &["murmur".into()], cfg: &|_| true };
    let found = annotated(&file.items, &scope, &ctxt);
    let items = found.into_iter().filter_map(|a| item::parse(a.marker, a.arguments, a.item, &ctxt));
    let seen = items.map(|item| (item.name(), murmur_spec::fingerprint::of(&item))).collect();
    ctxt.finish();
    let traffic = Message {
        name: "Traffic".into(),
        fields: vec![("views".into(), 4), ("slowest".into(), 2)],
        retired: vec![1, 3],
    };
    let (name, package) = ("example".into(), "shop.v1".into());
    let contracts = vec![("PageTrafficService".into(), "2-4e1c0fd0a1a3c0b7".into())];
    Build::said(Some(Crate { name, package, seen, messages: vec![traffic], contracts, findings: vec![] }))
}

fn expanded(source: &str) -> String {
    let file = syn::parse_file(source).unwrap();
    let ctxt = Ctxt::new();
    let scope = Scope { runtimes: &["murmur".into(), "stream".into()], cfg: &|_| true };
    let found = annotated(&file.items, &scope, &ctxt);
    assert!(ctxt.finish().is_empty());
    let build = build(source);
    let tokens: TokenStream = found.into_iter().map(|a| attribute(a.marker, a.arguments, a.item, &build)).collect();
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

#[test]
fn expansions_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| !path.to_str().unwrap().ends_with(".expanded.rs"));
    sources.sort();
    assert!(!sources.is_empty());
    for source in sources {
        let got = expanded(&std::fs::read_to_string(&source).unwrap());
        let golden = source.with_extension("expanded.rs");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &got).unwrap();
        }
        let want = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(got, want, "{} is out of date; look at it, then run with BLESS=1", golden.display());
    }
}

#[test]
fn a_pipeline_is_named_once() {
    let said = |arguments: &str| main_macro::expand(arguments.parse().unwrap(), &Build::said(None)).to_string();
    for (arguments, name) in
        [("views, views", "views"), ("likes, views, Views", "Views"), ("a::v, a::v; generator = line", "v")]
    {
        assert!(said(arguments).contains(&format!("the pipeline `{name}` is named twice")), "{arguments}");
    }
    assert!(!said("views, shop::views").contains("compile_error"), "two of one name in two modules");
}

#[test]
fn main_names_the_markers_of_its_pipelines() {
    let arguments = "page_traffic, shop::likes, Other; generator = generator::line".parse().unwrap();
    let got = prettyplease::unparse(&syn::parse2(main_macro::expand(arguments, &Build::said(None))).unwrap());
    let want = r#"fn main() -> ::std::process::ExitCode {
    ::murmur::app::App::new(
            ::core::env!("CARGO_BIN_NAME"),
            ::murmur::app::Contracts::from(
                ::core::include!(
                    ::core::concat!(::core::env!("OUT_DIR"), "/murmur/contracts.rs")
                ),
            ),
        )
        .pipeline::<PageTraffic>()
        .pipeline::<shop::Likes>()
        .pipeline::<Other>()
        .generator(generator::line)
        .run()
}
"#;
    assert_eq!(got, want);
}

#[test]
fn main_is_told_how_payloads_are_written() {
    let said = |arguments: &str| {
        let main = main_macro::expand(arguments.parse().unwrap(), &Build::said(None));
        prettyplease::unparse(&syn::parse2(main).unwrap())
    };
    let main = said(
        "views: protobuf<proto::View>, likes: confluent<descriptor(include_bytes!(\"x.bin\"), \"shop.v1.Like\")>,
         posts: json, tags: confluent<descriptor(include_bytes!(\"x.bin\"), \"shop.v1.Like\")>, own: own::Format<u8>, plain;
         crate = stream",
    );
    for part in [
        ".pipeline_in::<Views, stream::engine::Protobuf<proto::View>>()",
        ".pipeline_in::<Likes, stream::engine::Confluent<stream::engine::Described<MurmurDescription0>>>()",
        ".pipeline_in::<Posts, stream::engine::Json>()",
        ".pipeline_in::<Tags, stream::engine::Confluent<stream::engine::Described<MurmurDescription0>>>()",
        ".pipeline_in::<Own, own::Format<u8>>()",
        ".pipeline::<Plain>()",
        "const DESCRIPTORS: &'static [::core::primitive::u8] = include_bytes!(\"x.bin\");",
        "const MESSAGE: &'static ::core::primitive::str = \"shop.v1.Like\";",
    ] {
        let spaceless = |text: &str| text.split_whitespace().collect::<String>().replace(",>", ">");
        assert!(spaceless(&main).contains(&spaceless(part)), "{part}:\n{main}");
    }
    assert_eq!(main.matches("enum MurmurDescription").count(), 1, "{main}");

    for (arguments, why) in [
        ("views: protobuf", "`protobuf` is written `protobuf<proto::PageView>`"),
        ("views: protobof<View>", "there is no format `protobof`; did you mean `protobuf`?"),
        ("views: avro", "there is no format `avro`; there are `json`"),
        ("views: descriptor(include_bytes!(\"x\"))", "`descriptor` is written `descriptor(include_bytes!"),
        ("views: descriptor", "`descriptor` is written `descriptor(include_bytes!"),
        ("views: confluent", "`confluent` is written `confluent<protobuf<proto::PageView>>`"),
    ] {
        let main = main_macro::expand(arguments.parse().unwrap(), &Build::said(None)).to_string();
        assert!(main.contains(&why.replace('"', "\\\"")), "{arguments}: {main}");
    }
}

#[test]
fn a_pipeline_that_is_misspelt_is_told() {
    let message = |name: &str| Message { name: name.into(), fields: vec![], retired: vec![] };
    let messages = vec![message("PageTrafficKey"), message("Traffic"), message("LikesKey"), message("Top10Key")];
    let (name, package) = ("shop".into(), "shop.v1".into());
    let build = Build::said(Some(Crate { name, package, messages, ..Crate::default() }));
    let said = |arguments: &str| main_macro::expand(arguments.parse().unwrap(), &build).to_string();
    let main = said("page_trafic, likes");
    assert!(main.contains("this crate has no pipeline `page_trafic`; did you mean `page_traffic`?"), "{main}");
    // Of another crate, or brought by `use`.
    for others in ["page_traffic, likes, top_10", "shop::page_trafic", "orders", "PageTrafic"] {
        assert!(!said(others).contains("compile_error"), "{others}");
    }
}

/// Random token trees, from words that mean something to us.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn tokens(&mut self, depth: usize) -> TokenStream {
        const WORDS: [&str; 35] = [
            "struct", "enum", "fn", "pub", "murmur", "key", "window", "rollup", "name", "sliding", "tumbling", "slot",
            "keep", "time", "was", "number", "as", "crate", "impl", "Option", "Vec", "Count", "Sum", "TopK", "u64",
            "usize", "String", "A", "a", "self", "where", "for", "top_k", "distinct", "fields",
        ];
        const PUNCTS: [char; 14] = ['#', ',', ';', ':', '=', '<', '>', '&', '-', '!', '\'', '(', '[', '{'];
        (0..self.below(8))
            .map(|_| match self.below(10) {
                0..4 => TokenTree::from(Ident::new(WORDS[self.below(WORDS.len())], Span::call_site())),
                4 => Literal::string(["90d", "1m", "", "x.v1"][self.below(4)]).into(),
                5 => Literal::u64_unsuffixed(self.below(20_000) as u64).into(),
                at => match PUNCTS[self.below(PUNCTS.len())] {
                    open @ ('(' | '[' | '{') if depth > 0 => {
                        let delimiter = match open {
                            '(' => Delimiter::Parenthesis,
                            '[' => Delimiter::Bracket,
                            _ => Delimiter::Brace,
                        };
                        Group::new(delimiter, self.tokens(depth - 1)).into()
                    }
                    '(' | '[' | '{' | '\'' => Punct::new(',', Spacing::Alone).into(),
                    punct => Punct::new(punct, if at == 9 { Spacing::Joint } else { Spacing::Alone }).into(),
                },
            })
            .collect()
    }

    /// An item that nearly makes sense: one of ours with some of its tokens replaced or dropped.
    fn damaged(&mut self, tokens: TokenStream) -> TokenStream {
        let mut out = TokenStream::new();
        for token in tokens {
            match (self.below(12), token) {
                (0, _) => {}
                (1, _) => out.extend(self.tokens(1)),
                (_, TokenTree::Group(group)) => {
                    out.extend([TokenTree::from(Group::new(group.delimiter(), self.damaged(group.stream())))]);
                }
                (_, token) => out.extend([token]),
            }
        }
        out
    }
}

#[test]
fn no_input_makes_a_macro_panic() {
    let build = Build::said(None);
    let items: Vec<TokenStream> = [
        "pub struct E { #[murmur(time)] pub at: Timestamp, #[murmur(key, was = \"x\")] k: Option<Vec<u8>>, #[murmur(top_k(3))] s: String }",
        "pub fn f(e: &E) -> impl Iterator<Item = ((String, u32), Sum<u64>)> { body }",
        "pub fn f(e: &E) -> Option<(Count, Map<String, A, 9>)> { body }",
        "enum V { A, B(u64), #[murmur(number = 4)] C { x: Box<V> } }",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    let arguments: TokenStream =
        "key = (a, b), window = sliding(\"1d\", slot = \"1h\"), rollup = [(a), (b, a)], dedup = within(7, (a, b)), fields(a, b(as = \"uint64\")), name = \"x\", crate = m"
            .parse()
            .unwrap();
    let mut random = Random(7);
    for round in 0..4_000 {
        let marker = Marker::ALL[random.below(4)];
        let (arguments, item) = if round % 4 == 0 {
            (random.tokens(3), random.tokens(3))
        } else {
            let item = items[random.below(items.len())].clone();
            (random.damaged(arguments.clone()), random.damaged(item))
        };
        attribute(marker, arguments.clone(), item, &build);
        main_macro::expand(arguments, &build);
    }
}
