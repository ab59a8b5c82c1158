"""Sends a trace of two spans and a counter by OpenTelemetry's own SDK: sdk.py grpc|http ADDRESS SERVICE."""

import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, address, service = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    spans, points = OTLPSpanExporter(endpoint=address, insecure=True), OTLPMetricExporter(endpoint=address, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = f"http://{address}"
    spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces", compression=Compression.Gzip)
    points = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", compression=Compression.Gzip)

resource = Resource.create({"service.name": service})
tracing = TracerProvider(resource=resource)
tracing.add_span_processor(BatchSpanProcessor(spans))
measuring = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(points)])
tracer, meter = tracing.get_tracer("senders"), measuring.get_meter("senders")
with tracer.start_as_current_span("outer", kind=trace.SpanKind.SERVER) as outer:
    with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT, attributes={"db.system": "postgresql"}):
        pass
meter.create_counter("orders", unit="{order}").add(7, {"kind": "book"})
meter.create_histogram("wait", unit="s").record(0.3)
tracing.shutdown()
measuring.shutdown()
print(f"{outer.get_span_context().trace_id:032x}")
