//! Telemetry: traces, metrics, access log.

use std::collections::BTreeMap;

use super::shared::{PolicyTargetReference, WorkloadSelector};
use crate::decode::{Time, choices, message};

message! {
    /// Istio's `Telemetry`.
    struct Telemetry {
        selector: Option<WorkloadSelector> = "selector";
        target_ref: Option<PolicyTargetReference> = "targetRef";
        target_refs: Vec<PolicyTargetReference> = "targetRefs";
        tracing: Vec<Tracing> = "tracing";
        metrics: Vec<Metrics> = "metrics";
        access_logging: Vec<AccessLogging> = "accessLogging";
    }

    /// Istio's `Tracing`.
    struct Tracing {
        matches: Option<TracingSelector> = "match" unapplied "spans are made for both sides";
        providers: Vec<ProviderRef> = "providers" unapplied "spans go to the collector of the settings";
        random_sampling_percentage: Option<f64> = "randomSamplingPercentage";
        disable_span_reporting: Option<bool> = "disableSpanReporting";
        custom_tags: BTreeMap<String, CustomTag> = "customTags";
        use_request_id_for_trace_sampling: Option<bool> = "useRequestIdForTraceSampling" unapplied "sampling follows the trace context";
        enable_istio_tags: Option<bool> = "enableIstioTags" unapplied "the tags are always there";
        disable_context_propagation: Option<bool> = "disableContextPropagation";
    }

    /// Istio's `Tracing.TracingSelector`.
    struct TracingSelector {
        mode: WorkloadMode = "mode";
    }

    /// Istio's `Tracing.CustomTag`.
    struct CustomTag {
        literal: Option<TagLiteral> = "literal";
        environment: Option<TagEnvironment> = "environment";
        header: Option<TagHeader> = "header";
        formatter: Option<TagFormatter> = "formatter";
    }
    one_of ["literal", "environment", "header", "formatter"]

    /// Istio's `Tracing.Literal`.
    struct TagLiteral {
        value: String = "value" required;
    }

    /// Istio's `Tracing.Environment`.
    struct TagEnvironment {
        name: String = "name" required;
        default_value: String = "defaultValue";
    }

    /// Istio's `Tracing.RequestHeader`.
    struct TagHeader {
        name: String = "name" required;
        default_value: String = "defaultValue";
    }

    /// Istio's `Tracing.Formatter`.
    struct TagFormatter {
        value: String = "value" required;
    }

    /// Istio's `ProviderRef`.
    struct ProviderRef {
        name: String = "name" required;
    }

    /// Istio's `Metrics`.
    struct Metrics {
        providers: Vec<ProviderRef> = "providers" unapplied "metrics are exposed for Prometheus";
        overrides: Vec<MetricsOverrides> = "overrides";
        reporting_interval: Option<Time> = "reportingInterval" unapplied "metrics are exposed for Prometheus";
    }

    /// Istio's `MetricSelector`.
    struct MetricSelector {
        metric: IstioMetric = "metric";
        custom_metric: Option<String> = "customMetric" unapplied "there are only the standard metrics";
        mode: WorkloadMode = "mode";
    }
    one_of ["metric", "customMetric"]

    /// Istio's `MetricsOverrides`.
    struct MetricsOverrides {
        matches: Option<MetricSelector> = "match";
        disabled: Option<bool> = "disabled";
        tag_overrides: BTreeMap<String, TagOverride> = "tagOverrides";
    }

    /// Istio's `MetricsOverrides.TagOverride`.
    struct TagOverride {
        operation: TagOperation = "operation";
        value: String = "value";
    }

    /// Istio's `AccessLogging`.
    struct AccessLogging {
        matches: Option<LogSelector> = "match" unapplied "both sides are logged alike";
        providers: Vec<ProviderRef> = "providers" unapplied "the log goes where the settings say";
        disabled: Option<bool> = "disabled";
        filter: Option<LogFilter> = "filter";
    }

    /// Istio's `AccessLogging.LogSelector`.
    struct LogSelector {
        mode: WorkloadMode = "mode";
    }

    /// Istio's `AccessLogging.Filter`.
    struct LogFilter {
        expression: String = "expression";
    }
}

choices! {
    /// Istio's `WorkloadMode`.
    enum WorkloadMode { ClientAndServer = "CLIENT_AND_SERVER", Client = "CLIENT", Server = "SERVER" }

    /// Istio's `MetricSelector.IstioMetric`.
    enum IstioMetric { AllMetrics = "ALL_METRICS", RequestCount = "REQUEST_COUNT", RequestDuration = "REQUEST_DURATION", RequestSize = "REQUEST_SIZE", ResponseSize = "RESPONSE_SIZE", TcpOpenedConnections = "TCP_OPENED_CONNECTIONS", TcpClosedConnections = "TCP_CLOSED_CONNECTIONS", TcpSentBytes = "TCP_SENT_BYTES", TcpReceivedBytes = "TCP_RECEIVED_BYTES", GrpcRequestMessages = "GRPC_REQUEST_MESSAGES", GrpcResponseMessages = "GRPC_RESPONSE_MESSAGES" }

    /// Istio's `MetricsOverrides.TagOverride.Operation`.
    enum TagOperation { Upsert = "UPSERT", Remove = "REMOVE" }
}
