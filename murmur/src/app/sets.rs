//! Set algebra for a person: `query PIPELINE KEY --intersect OTHER`.

use serde_json::{Value, json};

use super::ask::Ask;
use super::call::{Json, Service};
use super::cli::{QueryArgs, SetArgs};
use super::entry::Entry;
use super::print::{self, Cell};
use super::query;
use crate::{Error, ErrorKind, Result};

/// The other sets, and what to do with them; `None` when it is not set algebra that is asked for.
fn asked(args: &SetArgs) -> Option<(&'static str, &[String])> {
    let SetArgs { unite, intersect, except, field: _ } = args;
    match (&unite[..], &intersect[..], &except[..]) {
        ([], [], []) => None,
        (others, [], []) => Some(("SET_OPERATION_UNION", others)),
        ([], others, []) => Some(("SET_OPERATION_INTERSECTION", others)),
        // Clap has made sure that it is one of them.
        (_, _, others) => Some(("SET_OPERATION_DIFFERENCE", others)),
    }
}

/// Answer, when it is set algebra that is asked for; whether it was.
pub(super) async fn combine(entry: &Entry, service: &Service, key: &[u8], ask: &Ask, args: &QueryArgs) -> Result<bool> {
    let Some(row) = combined(entry, service, key, ask, &args.sets).await? else { return Ok(false) };
    print::one(args.output, &row, |row| {
        let part = |name: &str| row.pointer(&format!("/estimate/{name}")).unwrap_or(&Json::Null);
        ["value", "lower", "upper"].map(|name| (name.to_owned(), Cell::of(part(name)))).into()
    })?;
    for answer in row.get("answers").and_then(Json::as_array).into_iter().flatten() {
        query::tell(&json!({ "answer": answer }));
    }
    Ok(true)
}

/// The reply; `None` when it is not set algebra that is asked for.
async fn combined(entry: &Entry, service: &Service, key: &[u8], ask: &Ask, args: &SetArgs) -> Result<Option<Json>> {
    let Some((operation, others)) = asked(args) else {
        if args.field.is_some() {
            let context = "`--field` is of set algebra; give it with `--unite`, `--intersect` or `--except`";
            return Err(Error::new(ErrorKind::InvalidArgument, context));
        }
        return Ok(None);
    };
    let mut sets = vec![of_key(service, key, ask)?];
    for other in others {
        sets.push(operand(entry, service, other, ask)?);
    }
    let field = args.field.as_deref().unwrap_or_default();
    service.combine_sets(json!({ "sets": sets, "operation": operation, "field": field })).await.map(Some)
}

/// The set of a key over the interval that was asked about.
fn of_key(service: &Service, key: &[u8], ask: &Ask) -> Result<Json> {
    let mut set = ask.interval();
    set["key"] = service.show_key(key)?;
    Ok(set)
}

/// A set as it is written on the command line: the text of a key of one field, a JSON list of the fields of a key, or the
/// whole operand as the service takes it, with an interval of its own.
fn operand(entry: &Entry, service: &Service, text: &str, ask: &Ask) -> Result<Json> {
    let refused = |why: String| Error::new(ErrorKind::InvalidArgument, format!("the set `{text}`: {why}"));
    let fields = match text.as_bytes() {
        [b'{', ..] => return serde_json::from_str(text).map_err(|error| refused(error.to_string())),
        [b'[', ..] => {
            let fields: Vec<Value> = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
            let text = |field: Value| field.as_str().map_or_else(|| field.to_string(), str::to_owned);
            fields.into_iter().map(text).collect()
        }
        _ => vec![text.to_owned()],
    };
    let key = (entry.parse_key)(&fields).map_err(|error| {
        let fields = entry.key_fields.join(" ");
        refused(format!("the key of `{}` is <{fields}>: {error}", entry.spec.name))
    })?;
    of_key(service, &key, ask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::call::Server;
    use crate::grpc::Contracts;
    use crate::grpc::tests::DESCRIPTOR;
    use crate::grpc::tests::sets::{Visits, world};

    fn args(unite: &[&str], intersect: &[&str], except: &[&str], field: Option<&str>) -> SetArgs {
        let [unite, intersect, except] =
            [unite, intersect, except].map(|sets| sets.iter().map(|&set| set.to_owned()).collect());
        SetArgs { unite, intersect, except, field: field.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_person_combines_sets() {
        let world = world().await;
        let entry = Entry::of::<Visits, crate::engine::Json>();
        let contracts = Contracts { descriptor: &DESCRIPTOR, ..Contracts::default() };
        let server = Server::Local(world.with_visits().in_process().unwrap());
        let service = Service::new(server, &contracts, &entry).unwrap();
        let home = (entry.parse_key)(&["home".to_owned()]).unwrap();
        let reply = async |args: SetArgs| combined(&entry, &service, &home, &Ask::default(), &args).await;
        let readers = Some("readers");
        let today = r#"{"key": {"id": "home"}, "window": "3600s"}"#;
        for (args, count) in [
            (args(&["shop"], &[], &[], readers), 1_300.0),
            (args(&[], &[r#"["shop"]"#], &[], readers), 400.0),
            (args(&[], &["shop"], &[], Some("buyers")), 40.0),
            (args(&[], &[today], &[], readers), 500.0),
            (args(&[], &[], &["shop", today], readers), 100.0),
        ] {
            let reply = reply(args).await.unwrap().unwrap();
            assert_eq!(reply.pointer("/estimate/value"), Some(&json!(count)), "{reply}");
        }
        assert_eq!(reply(args(&[], &[], &[], None)).await.unwrap(), None);
        for (args, why) in [
            (args(&["shop"], &[], &[], Some("views")), "`views` of `visits` is no `DistinctSet`"),
            (args(&[], &[], &[], readers), "`--field` is of set algebra"),
            (args(&[r#"["a", "b"]"#], &[], &[], readers), "the key of `visits` is <id>"),
            (args(&["{"], &[], &[], readers), "the set `{`"),
            (args(&[r#"{"page": 1}"#], &[], &[], readers), "does not fit"),
        ] {
            let error = reply(args).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
