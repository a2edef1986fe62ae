import * as root from 'mesh-chain'
import * as cluster from 'mesh-chain/cluster'
import * as journal from 'mesh-chain/journal'
import * as recorder from 'mesh-chain/recorder'
import * as sources from 'mesh-chain/sources'
import * as testing from 'mesh-chain/testing'

void [root, cluster, journal, recorder, sources, testing]
