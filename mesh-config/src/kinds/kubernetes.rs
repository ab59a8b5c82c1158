//! Kubernetes' own kinds, as far as traffic depends on them. Other fields are passed over.

use std::collections::BTreeMap;

use crate::decode::{IntOrString, Raw, message};

message! {
    /// `metadata` of every object.
    struct ObjectMeta {
        name: String = "name";
        generate_name: String = "generateName";
        namespace: String = "namespace";
        labels: BTreeMap<String, String> = "labels";
        annotations: BTreeMap<String, String> = "annotations";
        creation_timestamp: String = "creationTimestamp";
        generation: i64 = "generation";
        owner_references: Vec<OwnerReference> = "ownerReferences";
    }

    /// What an object belongs to.
    struct OwnerReference {
        kind: String = "kind";
        name: String = "name";
        controller: bool = "controller";
    }

    /// A Service's spec.
    struct ServiceSpec {
        kind: String = "type";
        selector: BTreeMap<String, String> = "selector";
        ports: Vec<ServicePort> = "ports";
        cluster_ip: String = "clusterIP";
        external_name: String = "externalName";
    }

    /// A port of a Service.
    struct ServicePort {
        name: String = "name";
        port: u32 = "port" required;
        target_port: IntOrString = "targetPort";
        protocol: String = "protocol";
        app_protocol: String = "appProtocol";
    }

    /// An EndpointSlice, whose fields stand beside its metadata.
    struct EndpointSlice {
        address_type: String = "addressType";
        endpoints: Vec<SliceEndpoint> = "endpoints";
        ports: Vec<SlicePort> = "ports";
    }

    /// One endpoint of a slice.
    struct SliceEndpoint {
        addresses: Vec<String> = "addresses";
        conditions: SliceConditions = "conditions";
        node_name: String = "nodeName";
        zone: String = "zone";
        target_ref: Option<ObjectReference> = "targetRef";
    }

    /// Conditions of an endpoint; what is absent counts as ready.
    struct SliceConditions {
        ready: Option<bool> = "ready";
        serving: Option<bool> = "serving";
        terminating: Option<bool> = "terminating";
    }

    /// A port of a slice.
    struct SlicePort {
        name: String = "name";
        port: u32 = "port";
        app_protocol: String = "appProtocol";
    }

    /// A reference to an object.
    struct ObjectReference {
        kind: String = "kind";
        namespace: String = "namespace";
        name: String = "name";
    }

    /// A Pod's spec.
    struct PodSpec {
        node_name: String = "nodeName";
        service_account_name: String = "serviceAccountName";
        host_network: bool = "hostNetwork";
        containers: Vec<Container> = "containers";
        init_containers: Vec<Container> = "initContainers";
        security_context: Option<SecurityContext> = "securityContext";
    }

    /// A container.
    struct Container {
        name: String = "name";
        image: String = "image";
        ports: Vec<ContainerPort> = "ports";
        security_context: Option<SecurityContext> = "securityContext";
        resources: Option<Resources> = "resources";
    }

    /// Requests of a container.
    struct Resources {
        requests: BTreeMap<String, Raw> = "requests";
    }

    /// As whom a container runs.
    struct SecurityContext {
        run_as_user: Option<i64> = "runAsUser";
    }

    /// A port of a container.
    struct ContainerPort {
        name: String = "name";
        container_port: u32 = "containerPort";
    }

    /// What a Pod reports of itself.
    struct PodStatus {
        pod_ip: String = "podIP";
        phase: String = "phase";
    }

    /// A Deployment's, StatefulSet's or DaemonSet's spec.
    struct DeploymentSpec {
        replicas: Option<i32> = "replicas";
        selector: LabelSelector = "selector";
        template: PodTemplate = "template";
    }

    /// Labels that must be there.
    struct LabelSelector {
        match_labels: BTreeMap<String, String> = "matchLabels";
    }

    /// Pods to be made.
    struct PodTemplate {
        metadata: ObjectMeta = "metadata";
        spec: PodSpec = "spec";
    }

    /// A HorizontalPodAutoscaler's spec.
    struct AutoscalerSpec {
        scale_target_ref: ObjectReference = "scaleTargetRef";
        metrics: Vec<Raw> = "metrics";
    }
}
