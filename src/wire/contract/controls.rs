//! The controls of sessions and of new ones.

use axum::Router;

use crate::app::App;

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
