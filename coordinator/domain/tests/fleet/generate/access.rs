//! Tokens, and requests of peers that proved who they are: with the right role or another one.

use molt_domain::access::{Details, Identity, Peer, Repos, Role, Token, TokenHash};
use molt_domain::board::{Board, Caller, Command, Request};
use molt_domain::id::TokenId;

use super::super::policy::{name, repo};
use super::Generator;

const NAMES: [&str; 5] = ["h1", "h2", "h3", "ann", "ci"];

impl Generator {
    pub(super) fn of_tokens(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let command = if kind == "issue-token" {
            Command::IssueToken(self.details(board))
        } else {
            let tokens: Vec<TokenId> = board.tables().tokens.keys().copied().collect();
            let token = *self.random.pick(&tokens)?;
            let reason = if self.random.percent(10) { "" } else { "it leaked" };
            Command::RevokeToken { token, reason: reason.to_owned() }
        };
        Some(self.operator(command))
    }

    fn details(&mut self, board: &Board) -> Details {
        let tokens: Vec<&Token> = board.tables().tokens.values().map(AsRef::as_ref).collect();
        let known = self.random.pick(&tokens).map(|token| token.hash);
        let fresh = TokenHash::of(&format!("token-{}", self.made()));
        let repos = match self.random.below(8) {
            0 => [name("elsewhere")].into(),
            1..4 => [repo()].into(),
            _ => [].into(),
        };
        Details {
            hash: known.filter(|_| self.random.percent(10)).unwrap_or(fresh),
            name: name(NAMES[self.random.below(NAMES.len())]),
            role: self.role(),
            repos,
            life: self.random.percent(60).then(|| self.random.next() % 400_000),
        }
    }

    fn role(&mut self) -> Role {
        Role::ALL[self.random.below(Role::ALL.len())]
    }

    /// Lets somebody who proved a name send the request, now and then.
    pub(super) fn proven(&mut self, request: Request, board: &Board) -> Request {
        if request.caller == Caller::Coordinator {
            return request;
        }
        let identity = match self.random.below(100) {
            0..9 => Some(self.certificate(&request)),
            9..16 => self.bearer(board),
            _ => None,
        };
        Request { peer: identity.map_or(Peer::Local, Peer::Known), ..request }
    }

    fn certificate(&mut self, request: &Request) -> Identity {
        let own = match &request.caller {
            Caller::Host(host) if self.random.percent(80) => Some(name(host.as_str())),
            _ => None,
        };
        Identity {
            name: own.unwrap_or_else(|| name(NAMES[self.random.below(NAMES.len())])),
            role: self.role(),
            repos: Repos::All,
            token: None,
        }
    }

    /// The bearer of a token that was good once, and may be good still.
    fn bearer(&mut self, board: &Board) -> Option<Identity> {
        let tokens: Vec<&Token> = board.tables().tokens.values().map(AsRef::as_ref).collect();
        let identity = self.random.pick(&tokens)?.identity();
        let forgotten = self.random.percent(5).then(|| TokenId::from_counter(u64::MAX));
        Some(Identity { token: forgotten.or(identity.token), ..identity })
    }
}
