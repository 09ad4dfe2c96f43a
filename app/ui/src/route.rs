//! Where the user is, as it stands after `#` in the address.

use std::str::FromStr;
use vereda_domain::{AssessmentId, ClientId, DraftId};

/// A screen with what it is about. Locked and new devices show their own screens whatever the
/// route, and come back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// The clients.
    #[default]
    Portfolio,
    /// A client to be taken down.
    NewClient,
    /// One client.
    Client(ClientId),
    /// Changes to a client.
    EditClient(ClientId),
    /// An interview.
    Interview(DraftId),
    /// What came out.
    Result(AssessmentId),
    /// What came out, for the client to read.
    Letter(AssessmentId),
    /// A decision to be recorded.
    Decision(AssessmentId),
    /// A decision against the suggestion.
    Override(AssessmentId),
    /// The branch's assessments.
    Review,
    /// One of them beside the list.
    Reviewing(AssessmentId),
    /// Everything about sync.
    Sync,
    /// The active model.
    Model,
    /// Settings.
    Settings,
}

impl Route {
    /// As it stands in the address.
    pub fn path(self) -> String {
        match self {
            Route::Portfolio => "/".to_owned(),
            Route::NewClient => "/new-client".to_owned(),
            Route::Client(id) => format!("/client/{id}"),
            Route::EditClient(id) => format!("/client/{id}/edit"),
            Route::Interview(id) => format!("/interview/{id}"),
            Route::Result(id) => format!("/result/{id}"),
            Route::Letter(id) => format!("/result/{id}/letter"),
            Route::Decision(id) => format!("/result/{id}/decision"),
            Route::Override(id) => format!("/result/{id}/override"),
            Route::Review => "/review".to_owned(),
            Route::Reviewing(id) => format!("/review/{id}"),
            Route::Sync => "/sync".to_owned(),
            Route::Model => "/model".to_owned(),
            Route::Settings => "/settings".to_owned(),
        }
    }

    /// From an address; one that means nothing is the portfolio.
    pub fn read(path: &str) -> Route {
        fn id<T: FromStr>(text: &str, route: impl Fn(T) -> Route) -> Route {
            text.parse().map(route).unwrap_or_default()
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["new-client"] => Route::NewClient,
            ["client", client] => id(client, Route::Client),
            ["client", client, "edit"] => id(client, Route::EditClient),
            ["interview", draft] => id(draft, Route::Interview),
            ["result", assessment] => id(assessment, Route::Result),
            ["result", assessment, "letter"] => id(assessment, Route::Letter),
            ["result", assessment, "decision"] => id(assessment, Route::Decision),
            ["result", assessment, "override"] => id(assessment, Route::Override),
            ["review"] => Route::Review,
            ["review", assessment] => id(assessment, Route::Reviewing),
            ["sync"] => Route::Sync,
            ["model"] => Route::Model,
            ["settings"] => Route::Settings,
            _ => Route::Portfolio,
        }
    }

    /// Where *back* leads when nothing was visited before.
    pub fn parent(self) -> Route {
        match self {
            Route::EditClient(client) => Route::Client(client),
            Route::Letter(id) | Route::Decision(id) | Route::Override(id) => Route::Result(id),
            Route::Reviewing(_) => Route::Review,
            _ => Route::Portfolio,
        }
    }
}

/// What a change of the address does to the screens visited: a step back or a step on.
pub fn visit(visited: &mut Vec<Route>, to: Route) {
    let before = visited.len().checked_sub(2).and_then(|i| visited.get(i));
    if visited.last() == Some(&to) {
        return;
    }
    if before == Some(&to) {
        visited.pop();
    } else {
        visited.push(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_reads_back_from_its_address() {
        let id = uuid::Uuid::from_u128(7);
        for route in [
            Route::Portfolio,
            Route::NewClient,
            Route::Client(ClientId(id)),
            Route::EditClient(ClientId(id)),
            Route::Interview(DraftId(id)),
            Route::Result(AssessmentId(id)),
            Route::Letter(AssessmentId(id)),
            Route::Decision(AssessmentId(id)),
            Route::Override(AssessmentId(id)),
            Route::Review,
            Route::Reviewing(AssessmentId(id)),
            Route::Sync,
            Route::Model,
            Route::Settings,
        ] {
            assert_eq!(Route::read(&route.path()), route);
        }
        assert_eq!(Route::read("/client/nobody"), Route::Portfolio);
        assert_eq!(Route::read(""), Route::Portfolio);
    }

    #[test]
    fn going_back_leaves_no_trace_and_reloading_adds_none() {
        let mut visited = vec![Route::Portfolio];
        visit(&mut visited, Route::Sync);
        visit(&mut visited, Route::Sync);
        visit(&mut visited, Route::Model);
        assert_eq!(visited.len(), 3);
        visit(&mut visited, Route::Sync);
        visit(&mut visited, Route::Portfolio);
        assert_eq!(visited, [Route::Portfolio]);
    }
}
