//! GraphQL requests held against GitHub's own schema: what is asked for is there, with these
//! arguments, of these types, and variables are what the types say.
//!
//! The schema is the excerpt in `data`. Not here: what a mutation does ([`super`]).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use graphql_parser::query::{
    self, Definition, Field, OperationDefinition, Selection, SelectionSet, VariableDefinition,
};
use graphql_parser::schema::{self, InputValue, Type, TypeDefinition, Value as Literal};
use serde_json::{Map, Value, json};

use super::super::git::ZERO;

/// What GitHub's schema has not, or not so.
type Checked<T = ()> = Result<T, String>;

/// The schema's own text.
pub(super) const TEXT: &str = include_str!("../../data/update-refs.graphql");

/// GitHub's schema, as far as it is here.
pub(super) struct Schema {
    types: BTreeMap<String, TypeDefinition<'static, String>>,
}

/// One request: the variables that it declares, by their types, and gives.
struct Given<'a> {
    declared: BTreeMap<&'a str, &'a Type<'a, String>>,
    variables: &'a Map<String, Value>,
}

impl Schema {
    /// GitHub's.
    pub(super) fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::of(TEXT))
    }

    /// The one that a text says.
    pub(super) fn of(text: &str) -> Self {
        let document = schema::parse_schema::<String>(text).expect("a schema").into_static();
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            schema::Definition::TypeDefinition(it) => Some((name(&it).to_owned(), it)),
            _ => None,
        });
        Self { types: types.collect() }
    }

    /// The arguments of each field that a request's one mutation asks for.
    pub(super) fn asked(&self, request: &Value) -> Checked<BTreeMap<String, Map<String, Value>>> {
        let known = ["query", "variables", "operationName"];
        let mut fields = request.as_object().into_iter().flat_map(Map::keys);
        if let Some(field) = fields.find(|field| !known.contains(&field.as_str())) {
            return Err(format!("no such field of a request: {field}"));
        }
        let text = request["query"].as_str().ok_or("no query")?;
        let document = query::parse_query::<String>(text).map_err(|error| error.to_string())?;
        let [Definition::Operation(OperationDefinition::Mutation(mutation))] =
            document.definitions.as_slice()
        else {
            return Err(format!("not one mutation: {text}"));
        };
        let empty = Map::new();
        let variables = request["variables"].as_object().unwrap_or(&empty);
        let given = self.given(&mutation.variable_definitions, variables)?;
        self.selected("Mutation", &mutation.selection_set, &given)
    }

    /// Variables that are declared by types which there are, and given as these say.
    fn given<'a>(
        &self,
        definitions: &'a [VariableDefinition<'a, String>],
        variables: &'a Map<String, Value>,
    ) -> Checked<Given<'a>> {
        let declared: BTreeMap<_, _> =
            definitions.iter().map(|it| (it.name.as_str(), &it.var_type)).collect();
        for (name, of) in &declared {
            self.fits(variables.get(*name).unwrap_or(&Value::Null), of)
                .map_err(|why| format!("${name}: {why}"))?;
        }
        match variables.keys().find(|name| !declared.contains_key(name.as_str())) {
            Some(name) => Err(format!("no such variable: {name}")),
            None => Ok(Given { declared, variables }),
        }
    }

    /// The arguments of each field that is selected of an object.
    fn selected(
        &self,
        of: &str,
        selection: &SelectionSet<'_, String>,
        given: &Given<'_>,
    ) -> Checked<BTreeMap<String, Map<String, Value>>> {
        let Some(TypeDefinition::Object(object)) = self.types.get(of) else {
            return Err(format!("{of} has no fields"));
        };
        let mut asked = BTreeMap::new();
        for item in &selection.items {
            let Selection::Field(field) = item else { return Err("a fragment".to_owned()) };
            let known = object.fields.iter().find(|known| known.name == field.name);
            let known = known.ok_or_else(|| format!("{of} has no field {}", field.name))?;
            let arguments = self.arguments(field, &known.arguments, given)?;
            let returned = named(&known.field_type);
            let is_object = matches!(self.types.get(returned), Some(TypeDefinition::Object(_)));
            if is_object || !field.selection_set.items.is_empty() {
                self.selected(returned, &field.selection_set, given)?;
            }
            asked.insert(field.name.clone(), arguments);
        }
        if asked.is_empty() { Err(format!("nothing is selected of {of}")) } else { Ok(asked) }
    }

    fn arguments(
        &self,
        field: &Field<'_, String>,
        known: &[InputValue<'_, String>],
        given: &Given<'_>,
    ) -> Checked<Map<String, Value>> {
        let mut arguments = Map::new();
        for (name, literal) in &field.arguments {
            let of = known.iter().find(|it| it.name == *name);
            let of = of.ok_or_else(|| format!("{} has no argument {name}", field.name))?;
            if let Literal::Variable(variable) = literal {
                given.may_stand_for(variable, &of.value_type)?;
            }
            arguments.insert(name.clone(), given.value(literal)?);
        }
        self.whole(known, &arguments)?;
        Ok(arguments)
    }

    /// Whether fields are all that there have to be, and each as its type says.
    fn whole(&self, known: &[InputValue<'_, String>], fields: &Map<String, Value>) -> Checked {
        for field in known {
            match fields.get(&field.name) {
                None if field.default_value.is_some() => {}
                value => self
                    .fits(value.unwrap_or(&Value::Null), &field.value_type)
                    .map_err(|why| format!("{}: {why}", field.name))?,
            }
        }
        match fields.keys().find(|name| !known.iter().any(|it| it.name == **name)) {
            Some(name) => Err(format!("no such field: {name}")),
            None => Ok(()),
        }
    }

    /// Whether a value is of a type.
    fn fits(&self, value: &Value, of: &Type<'_, String>) -> Checked {
        match (of, value) {
            (Type::NonNullType(_), Value::Null) => Err(format!("none, where {of} is")),
            (Type::NonNullType(of), _) => self.fits(value, of),
            (_, Value::Null) => Ok(()),
            (Type::ListType(of), Value::Array(values)) => {
                values.iter().try_for_each(|value| self.fits(value, of))
            }
            (Type::ListType(_), _) => Err(format!("{value} is no {of}")),
            (Type::NamedType(name), _) => self.is_a(value, name),
        }
    }

    fn is_a(&self, value: &Value, name: &str) -> Checked {
        let is = match (self.types.get(name), name, value) {
            (Some(TypeDefinition::InputObject(object)), _, Value::Object(fields)) => {
                return self.whole(&object.fields, fields);
            }
            (Some(TypeDefinition::Scalar(_)), "GitObjectID", Value::String(text)) => {
                text.len() == ZERO.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            (Some(TypeDefinition::Scalar(_)), "GitRefname", Value::String(text)) => {
                text.starts_with("refs/")
            }
            (None, "Boolean", Value::Bool(_)) => true,
            (None, "ID" | "String", Value::String(_)) => true,
            _ => false,
        };
        if is { Ok(()) } else { Err(format!("{value} is no {name}")) }
    }
}

impl Given<'_> {
    /// Whether a variable is declared so that it may stand where this type is.
    fn may_stand_for(&self, variable: &str, of: &Type<'_, String>) -> Checked {
        let declared = self.declared.get(variable);
        let declared = declared.ok_or_else(|| format!("${variable} is not declared"))?.to_string();
        // What is never null may stand where it could be.
        if declared == of.to_string() || declared == format!("{of}!") {
            return Ok(());
        }
        Err(format!("${variable} is {declared}, where {of} is"))
    }

    fn value(&self, literal: &Literal<'_, String>) -> Checked<Value> {
        Ok(match literal {
            Literal::Variable(name) => self.variables.get(name).cloned().unwrap_or_default(),
            Literal::String(text) => json!(text),
            Literal::Boolean(is) => json!(is),
            Literal::Null => Value::Null,
            Literal::List(values) => {
                values.iter().map(|value| self.value(value)).collect::<Checked<_>>()?
            }
            Literal::Object(fields) => {
                let fields = fields.iter().map(|(name, it)| Ok((name.clone(), self.value(it)?)));
                Value::Object(fields.collect::<Checked<_>>()?)
            }
            other => return Err(format!("nobody here knows {other}")),
        })
    }
}

fn name<'a>(of: &'a TypeDefinition<'_, String>) -> &'a str {
    match of {
        TypeDefinition::Scalar(it) => &it.name,
        TypeDefinition::Object(it) => &it.name,
        TypeDefinition::Interface(it) => &it.name,
        TypeDefinition::Union(it) => &it.name,
        TypeDefinition::Enum(it) => &it.name,
        TypeDefinition::InputObject(it) => &it.name,
    }
}

fn named<'a>(of: &'a Type<'_, String>) -> &'a str {
    match of {
        Type::NamedType(name) => name,
        Type::ListType(of) | Type::NonNullType(of) => named(of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str =
        "mutation M($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";

    fn request() -> Value {
        let sha = "a".repeat(40);
        let update =
            json!({"name": "refs/heads/x", "afterOid": sha, "beforeOid": ZERO, "force": false});
        let input = json!({"repositoryId": "R_1", "refUpdates": [update]});
        json!({"query": QUERY, "variables": {"input": input}})
    }

    #[test]
    fn what_the_schema_has_is_asked_for() {
        let asked = Schema::get().asked(&request()).expect("it is sound");
        assert_eq!(asked["updateRefs"]["input"], request()["variables"]["input"]);
        let (open, close) = (r#"{ repositoryId: "R_1", refUpdates: ["#, "] }");
        let query =
            format!("mutation {{ updateRefs(input: {open}{close}) {{ clientMutationId }} }}");
        let asked = Schema::get().asked(&json!({"query": query})).expect("without variables");
        assert_eq!(asked["updateRefs"]["input"]["refUpdates"], json!([]));
    }

    #[test]
    fn what_the_schema_has_not_is_told() {
        let queries = [
            "query { viewer { login } }",
            "mutation { mergeBranch { clientMutationId } }",
            "mutation { updateRefs { clientMutationId } }",
            "mutation M($input: UpdateRefsInput!) { updateRefs(input: $input) }",
            "mutation M($input: UpdateRefsInput!) { updateRefs(input: $input) { refs } }",
            "mutation M($input: UpdateRefsInput) { updateRefs(input: $input) { clientMutationId } }",
            "mutation M($input: ID!) { updateRefs(input: $input) { clientMutationId } }",
            "mutation M($input: UpdateRefsInput!) { updateRefs(in: $input) { clientMutationId } }",
            "mutation { updateRefs(input: $input) { clientMutationId } }",
        ];
        for query in queries {
            let mut request = request();
            request["query"] = query.into();
            assert!(Schema::get().asked(&request).is_err(), "{query}");
        }
        for (at, value) in [
            ("/variables/other", json!(1)),
            ("/extensions", json!({})),
            ("/variables/input/repositoryId", Value::Null),
            ("/variables/input/refUpdates", json!({})),
            ("/variables/input/refUpdates/0/colour", json!(1)),
            ("/variables/input/refUpdates/0/afterOid", Value::Null),
            ("/variables/input/refUpdates/0/beforeOid", json!("abc")),
            ("/variables/input/refUpdates/0/force", json!("yes")),
            ("/variables/input/refUpdates/0/name", json!("heads/x")),
        ] {
            let mut request = request();
            let (place, field) = at.rsplit_once('/').expect("a path");
            request.pointer_mut(place).expect("it is there")[field] = value;
            assert!(Schema::get().asked(&request).is_err(), "{at}");
        }
    }

    /// What the product sends, by the journal of its client.
    fn sent() -> Value {
        use molt_forge::github::{Client, Course, Credentials, RefMove, Transport};

        let github = super::super::super::GitHub::start(&[("metadata", "read")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let token = github.personal_token("mona");
            let transport = Transport::new(&github.url()).expect("it is loopback");
            let client = Client::new(transport, Credentials::personal(token.into()));
            let (from, to) = ("a".repeat(40), "b".repeat(40));
            let step = |from: Option<&str>| RefMove {
                name: "refs/heads/main".to_owned(),
                from: from.map(|from| from.parse().expect("an id")),
                to: to.parse().expect("an id"),
                course: Course::Forward,
            };
            let moves = [step(Some(&from)), step(None)];
            client.move_together("R_1", &moves).await.expect("it is understood");
        });
        github.journal().pop().expect("it was sent").body
    }

    #[test]
    fn what_the_product_sends_holds_by_this_schema_and_by_no_other() {
        let sent = sent();
        assert_eq!(Schema::get().asked(&sent).map(|_| ()), Ok(()), "{sent}");
        for (was, is) in [
            ("updateRefs(", "moveRefs("),
            ("input: UpdateRefsInput!", "what: UpdateRefsInput!"),
            ("input: UpdateRefsInput!", "input: RefUpdate!"),
            ("input UpdateRefsInput", "input MoveRefsInput"),
            ("refUpdates:", "updates:"),
            ("refUpdates: [RefUpdate!]!", "refUpdates: RefUpdate!"),
            ("repositoryId: ID!", "repository: ID!"),
            ("repositoryId: ID!", "repositoryId: Boolean!"),
            ("afterOid:", "after:"),
            ("beforeOid:", "before:"),
            ("beforeOid: GitObjectID", "beforeOid: GitRefname"),
            ("force:", "forced:"),
            ("force: Boolean = false", "force: ID"),
            ("name: GitRefname!", "ref: GitRefname!"),
            ("name: GitRefname!", "name: GitRefname!\n  why: String!"),
            (
                "type UpdateRefsPayload {",
                "type UpdateRefsPayload {\n  done: Boolean\n}\ntype Other {",
            ),
        ] {
            assert!(TEXT.contains(was), "{was}");
            let other = Schema::of(&TEXT.replace(was, is));
            assert!(other.asked(&sent).is_err(), "{was} is {is}, and nobody noticed");
        }
    }
}
