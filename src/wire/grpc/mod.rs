//! gRPC and gRPC-Web: the services of `switchboard.v1`, health and reflection.
//!
//! A handler hands its message to the function of its method in
//! [`super::operations`]. What all calls have in common is layers: deadlines
//! ([`deadline`]), details on statuses that tonic makes ([`details`]), and the
//! raw body of `WatchEvents` ([`watch`]).

mod audit;
mod config_lock;
mod controls;
mod deadline;
mod details;
mod event;
mod session;
mod settings;
mod system;
mod watch;

use axum::{Router, middleware};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;

use crate::{
    app::{App, MAX_PROMPT_BYTES, MAX_REQUEST_BYTES},
    config::WatchBody,
    proto::{
        DESCRIPTORS, audit_service_server::AuditServiceServer,
        config_lock_service_server::ConfigLockServiceServer,
        controls_service_server::ControlsServiceServer, event_service_server::EventServiceServer,
        session_service_server::SessionServiceServer,
        settings_service_server::SettingsServiceServer, system_service_server::SystemServiceServer,
    },
    wire::operations::{Caller, Transport},
};

/// Who asks, in all that comes through here.
const CALLER: Caller = Caller { transport: Transport::Grpc };

/// The switch of the server's health.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

/// What health is asked about: the server as a whole, and each service.
const SERVICES: [&str; 8] = [
    "",
    "switchboard.v1.SessionService",
    "switchboard.v1.EventService",
    "switchboard.v1.SettingsService",
    "switchboard.v1.ControlsService",
    "switchboard.v1.AuditService",
    "switchboard.v1.ConfigLockService",
    "switchboard.v1.SystemService",
];

impl Health {
    /// Says that requests are served.
    pub(crate) async fn serving(&self) {
        self.set(ServingStatus::Serving).await;
    }

    /// Says that the server is going down, and ends the streams of those who
    /// watch: they would hold their connections open until the deadline.
    pub(crate) async fn not_serving(&mut self) {
        self.set(ServingStatus::NotServing).await;
        for service in SERVICES {
            self.0.clear_service_status(service).await;
        }
    }

    async fn set(&self, status: ServingStatus) {
        for service in SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// All services as a router. Health says NOT_SERVING until it is switched on.
pub(crate) fn router(app: App, watch_body: WatchBody) -> (Router, Health) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let sessions = SessionServiceServer::new(session::Service::new(app.clone()))
        .max_decoding_message_size(MAX_PROMPT_BYTES + MAX_REQUEST_BYTES)
        // Pages may be as large as their caller wants, up to 64 MiB.
        .max_encoding_message_size(usize::MAX);
    let events = EventServiceServer::new(event::Service::new(app.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        // Pages may be as large as their caller wants, up to 64 MiB.
        .max_encoding_message_size(usize::MAX);
    let system = SystemServiceServer::new(system::Service::new(app.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let settings = SettingsServiceServer::new(settings::Service::new(app.clone()))
        // What is too large is told with its size.
        .max_decoding_message_size(2 * MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let controls = ControlsServiceServer::new(controls::Service::new(app.clone()))
        .max_decoding_message_size(2 * MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let audit = AuditServiceServer::new(audit::Service::new(app.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let locks = ConfigLockServiceServer::new(config_lock::Service::new(app.clone()))
        // What is too large is told with its size.
        .max_decoding_message_size(2 * MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let known = "the descriptors were compiled with the contract";
    let mut routes = Routes::new(sessions)
        .add_service(settings)
        .add_service(controls)
        .add_service(audit)
        .add_service(locks)
        .add_service(system)
        .add_service(health)
        .add_service(reflection().build_v1().expect(known))
        .add_service(reflection().build_v1alpha().expect(known));
    routes = match watch_body {
        WatchBody::Raw => routes.add_service(watch::Raw::new(events, app)),
        WatchBody::Generated => routes.add_service(events),
    };
    let router = routes
        .into_axum_router()
        .layer(middleware::from_fn(deadline::enforce))
        .layer(middleware::from_fn(details::complete))
        .layer(GrpcWebLayer::new());
    (router, Health(reporter))
}
