// The broker aedes on loopback, open to everybody. Arguments: the folder that it is installed in, the port.
const { createServer } = require('node:net')
const { createRequire } = require('node:module')

const [folder, port] = process.argv.slice(2)
const { Aedes } = createRequire(folder + '/')('aedes')

Aedes.createBroker().then((broker) => createServer(broker.handle).listen(Number(port), '127.0.0.1'))
