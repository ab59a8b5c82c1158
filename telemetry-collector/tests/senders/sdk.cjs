// Sends a trace of two spans, a counter and a histogram by OpenTelemetry's own SDK: sdk.cjs grpc|json|proto ADDRESS SERVICE.
const { trace, context, SpanKind } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const [protocol, address, service] = process.argv.slice(2);
const form = { grpc: 'grpc', json: 'http', proto: 'proto' }[protocol];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${form}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${form}`);
const url = (path) => ({ url: form === 'grpc' ? `http://${address}` : `http://${address}${path}`, compression: 'gzip' });

async function main() {
  const resource = resourceFromAttributes({ 'service.name': service });
  const spans = new BatchSpanProcessor(new OTLPTraceExporter(url('/v1/traces')));
  const tracing = new BasicTracerProvider({ resource, spanProcessors: [spans] });
  const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(url('/v1/metrics')) });
  const measuring = new MeterProvider({ resource, readers: [reader] });
  const [tracer, meter] = [tracing.getTracer('senders'), measuring.getMeter('senders')];
  const outer = tracer.startSpan('outer', { kind: SpanKind.SERVER });
  const inside = trace.setSpan(context.active(), outer);
  tracer.startSpan('inner', { kind: SpanKind.CLIENT, attributes: { 'db.system': 'postgresql' } }, inside).end();
  outer.end();
  meter.createCounter('orders', { unit: '{order}' }).add(7, { kind: 'book' });
  meter.createHistogram('wait', { unit: 's' }).record(0.3);
  await tracing.shutdown();
  await measuring.shutdown();
  console.log(outer.spanContext().traceId);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
