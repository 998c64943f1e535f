//! The table of all paths: each with its handlers, and each of these with its description. The router and the OpenAPI
//! description are made of the same table, so they cannot differ.

mod connect;
mod own;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get};

use super::{HttpState, page};

/// A path, its methods with their handlers, and what each does.
pub(super) struct Route {
    pub(super) path: &'static str,
    methods: MethodRouter<HttpState>,
    pub(super) operations: Vec<(&'static str, Operation)>,
    /// True for a path below `/admin`, which a worker may not serve.
    pub(super) is_admin: bool,
}

/// The description of one method of a path.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// The purpose, as a sentence without a full stop.
    pub(super) summary: &'static str,
    pub(super) query: Vec<Parameter>,
    /// The schema of the body that is sent.
    pub(super) body: Option<&'static str>,
    /// The status of success, and the schema of the body; none: no body.
    pub(super) answers: Vec<(u16, Option<&'static str>)>,
}

/// A parameter of a query.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// The kind of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Number,
    /// One of these words, any number of times.
    Words(&'static [&'static str]),
}

impl Route {
    fn at(path: &'static str) -> Self {
        Self { path, methods: MethodRouter::new(), operations: Vec::new(), is_admin: false }
    }

    fn admin(path: &'static str) -> Self {
        Self { is_admin: true, ..Self::at(path) }
    }

    fn get<H: Handler<T, HttpState>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.get(handler);
        self.with("get", operation)
    }

    fn put<H: Handler<T, HttpState>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.put(handler);
        self.with("put", operation)
    }

    fn post<H: Handler<T, HttpState>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.post(handler);
        self.with("post", operation)
    }

    fn patch<H: Handler<T, HttpState>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.patch(handler);
        self.with("patch", operation)
    }

    fn delete<H: Handler<T, HttpState>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.delete(handler);
        self.with("delete", operation)
    }

    fn with(mut self, method: &'static str, operation: Operation) -> Self {
        self.operations.push((method, operation));
        self
    }
}

/// An operation that answers 200 with a body of this schema.
fn answers(schema: &'static str, summary: &'static str) -> Operation {
    Operation { summary, query: Vec::new(), body: None, answers: vec![(200, Some(schema))] }
}

/// An operation that answers a status without a body.
fn done(status: u16, summary: &'static str) -> Operation {
    Operation { summary, query: Vec::new(), body: None, answers: vec![(status, None)] }
}

impl Operation {
    fn takes(self, schema: &'static str) -> Self {
        Self { body: Some(schema), ..self }
    }

    fn asks(mut self, name: &'static str, kind: Kind, about: &'static str) -> Self {
        self.query.push(Parameter { name, kind, about });
        self
    }

    fn or(mut self, status: u16, schema: Option<&'static str>) -> Self {
        self.answers.push((status, schema));
        self
    }

    /// The only success is another one than 200.
    fn status(mut self, status: u16) -> Self {
        for answer in &mut self.answers {
            answer.0 = status;
        }
        self
    }
}

/// Every path, those of Kafka Connect first.
pub(super) fn all() -> Vec<Route> {
    connect::root().into_iter().chain(connect::connectors()).chain(connect::rest()).chain(own::v1()).collect()
}

/// The paths of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Everything,
    WithoutAdmin,
    AdminOnly,
}

impl Served {
    fn has(self, route: &Route) -> bool {
        match self {
            Served::Everything => true,
            Served::WithoutAdmin => !route.is_admin,
            Served::AdminOnly => route.is_admin,
        }
    }
}

/// The router of paths, and of the page's files, which are no part of REST. A path may end in a slash, as with Kafka Connect.
pub(super) fn router(served: Served) -> Router<HttpState> {
    let mut router = Router::new();
    if served != Served::AdminOnly {
        router = router.route(page::FILES, get(page::file));
    }
    for Route { path, methods, .. } in all().into_iter().filter(|route| served.has(route)) {
        if path != "/" {
            router = router.route(&format!("{path}/"), methods.clone());
        }
        router = router.route(path, methods);
    }
    router
}
