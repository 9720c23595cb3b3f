// Calls every method of the page-traffic service; the .proto file is read as the program runs.
//
//     client.js PROTO_FOLDER HOST:PORT QUESTION
//
// QUESTION is a JSON object. Prints a JSON object: the reply of each method. NODE_PATH says where the packages are.

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [folder, address, text] = process.argv.slice(2);
const question = JSON.parse(text);
const options = { includeDirs: [folder], keepCase: true, longs: String, enums: String, defaults: true };
const definition = loader.loadSync('page_traffic/v1/page_traffic.proto', options);
const { PageTrafficService } = grpc.loadPackageDefinition(definition).page_traffic.v1;
const client = new PageTrafficService(address, grpc.credentials.createInsecure());

const keys = question.pages.map((page_id) => ({ page_id }));
const key = keys[0];
const seconds = (seconds) => ({ seconds });
const window = seconds(question.window);
const [start, end] = [seconds(question.start), seconds(question.end)];

const requests = {
  Get: { key },
  GetMany: { keys },
  GetWindow: { key, window, end },
  GetWindowMany: { keys, window, end },
  GetRange: { key, start, end },
  GetRangeMany: { keys, start, end },
  Series: { key, start, end, step: seconds(question.step) },
};

const unary = (method, request) =>
  new Promise((resolve, reject) => {
    client[method](request, (error, reply) => (error ? reject(error) : resolve([method, reply])));
  });

const watch = (method, request) =>
  new Promise((resolve, reject) => {
    const stream = client[method](request);
    stream.once('data', (reply) => {
      stream.once('error', () => {}); // our own cancellation
      stream.cancel();
      resolve([method, reply]);
    });
    stream.once('error', reject);
  });

const watches = [watch('Watch', { key }), watch('WatchMany', { keys })];

Promise.all([...Object.entries(requests).map(([method, request]) => unary(method, request)), ...watches])
  .then((replies) => {
    console.log(JSON.stringify(Object.fromEntries(replies)));
    client.close();
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
