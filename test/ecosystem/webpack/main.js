import { BufferingAppender, MeshLoop } from 'mesh-chain'

const appender = new BufferingAppender()
const loop = new MeshLoop(appender)
loop.info('hello')
console.log(appender.captured()[0].message)
