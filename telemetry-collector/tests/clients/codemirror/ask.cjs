// Asks a collector what codemirror-promql asks while somebody types a query, with its own client and completion, and
// prints the answers as JSON: node ask.cjs URL
const { HTTPPrometheusClient } = require('@prometheus-io/codemirror-promql/dist/cjs/client/prometheus');
const { newCompleteStrategy } = require('@prometheus-io/codemirror-promql/dist/cjs/complete');
const { promQLLanguage } = require('@prometheus-io/codemirror-promql/dist/cjs/promql');
const { LanguageType } = require('@prometheus-io/codemirror-promql/dist/cjs/promql');
const { CompletionContext } = require('@codemirror/autocomplete');
const { EditorState } = require('@codemirror/state');
const { syntaxTree } = require('@codemirror/language');
const { Matcher } = require('@prometheus-io/codemirror-promql/dist/cjs/types');
const { EqlSingle } = require('@prometheus-io/lezer-promql');

async function asked(url, httpMethod) {
  const errors = [];
  const httpErrorHandler = (error) => errors.push(String(error));
  const client = new HTTPPrometheusClient({ url, httpMethod, httpErrorHandler, lookbackInterval: 3600 * 1000 });
  const job = [new Matcher(EqlSingle, 'job', 'web')];
  const answers = {
    metricNames: await client.metricNames(),
    labelNames: await client.labelNames(),
    labelNamesOf: await client.labelNames('temperature'),
    labelValues: await client.labelValues('pod'),
    labelValuesOf: await client.labelValues('pod', 'http_requests_total', job),
    series: await client.series('http_requests_total', job),
    metadata: await client.metricMetadata(),
    flags: await client.flags(),
  };
  return { ...answers, errors };
}

// `text` with `|` where the cursor is.
async function completed(url, text) {
  const strategy = newCompleteStrategy({ remote: { url } });
  const at = text.indexOf('|');
  const state = EditorState.create({ doc: text.replace('|', ''), extensions: promQLLanguage(LanguageType.PromQL) });
  syntaxTree(state);
  const found = await strategy.promQL(new CompletionContext(state, at, true));
  return (found ? found.options : []).map((option) => option.label);
}

async function main(url) {
  const told = {
    POST: await asked(url, 'POST'),
    GET: await asked(url, 'GET'),
    names: (await completed(url, 'http_|')).filter((label) => label.startsWith('http_')),
    labels: await completed(url, 'http_requests_total{|}'),
    values: await completed(url, 'http_requests_total{pod="|"}'),
  };
  console.log(JSON.stringify(told));
}

main(process.argv[2]).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
