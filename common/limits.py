"""Every limit of the wire, each with a name and a source; the tests hold them.

What comes from outside is checked against these once, at the border (`common.wire` and the
shell's sockets). Sizes are bytes, times seconds. Changing one is a protocol change.
"""

# Frames
CONTROL_FRAME_BYTES_MAX = 64 * 1024  # wild guess: holds 100 query hits
BULK_FRAME_BYTES_MAX = 1024 * 1024 + 4096  # 1 MiB was the fastest frame measured, plus its header
BODY_BYTES_MAX = 160 * 1024  # of a bulk frame's messages: the bit field of a million pieces
DATAGRAM_BYTES_MAX = 1400  # below the MTU of any tunnel
PING_BYTES = 1200  # padded, so that a pong is never longer than its ping
MESSAGES_PER_FRAME_MAX = 4096  # = CONTAINER_ITEMS_MAX: a frame is one array of messages
CONTROL_PARTS = 1  # frames of one control message, beyond the routing id
BULK_PARTS_MAX = 2  # header and data

# Values inside a frame
DEPTH_MAX = 8  # of our own types, which hold it: what is deeper converts to none of them
CONTAINER_ITEMS_MAX = 4096
STRING_BYTES_MAX = 1024
FILE_NAME_BYTES_MAX = 255  # what file systems allow
PATH_DEPTH_MAX = 32
FOLDER_FILES_MAX = 100_000  # of a folder as one thing
MANIFEST_BYTES_MAX = 64 * 1024 * 1024  # so many files with 600 bytes of path each
FOLDER_PATTERNS_MAX = 64  # by which files of a folder are chosen
FOLDER_PATTERN_CHARS_MAX = 1_024

# What one node may ask of another
FILES_PER_LEAF_MAX = 20_000
PIECES_PER_FILE_MAX = 2**20
HAVE_PIECES_MAX = 256  # told of in one message: 4 MiB of the smallest
PEERS_TOLD_MAX = 50  # leaves named in one message of one file: BEP 11
FILE_SIZE_MAX = 2**40  # PIECES_PER_FILE_MAX pieces of 1 MiB
HITS_PER_FRAME_MAX = 10  # gtk-gnutella
QUERIES_OPEN_MAX = 128  # of one neighbour, not answered yet: the credit of a link; wild guess
HITS_PER_QUERY_MAX = 5_000
HOSTS_PER_LIST_MAX = 200  # KaZaA's list of super-peers
RELAY_PART_BYTES_MAX = 16 * 1024  # of what passes a relay: as one request of a slow link
RELAY_WINDOW_BYTES = 32 * 1024  # on their way, not taken yet: two relays fit the queue of a link
PUSHED_MAX = 8  # sources that one question is to have dial its asker; wild guess
SOURCES_PER_ANSWER_MAX = 50  # a tracker's random subset
QUERY_WORDS_MAX = 64  # as many as a name is indexed by: a whole name can be asked for
WORD_CHARS_MAX = 64
SEARCH_CHARS_MAX = 4_096  # that a person types: as many words of as many characters
SEARCH_BYTES_MAX = 8_192  # of the words of one, whole or not: each super-peer passes them on
QUERY_BYTES_MAX = 12 * 1024  # of a query's body: such words, and what holds them
PREFIX_CHARS_MIN = 2  # before a `*`; a letter of a script without spaces stands alone
QUERY_PREFIXES_MAX = 8  # each may be a union of thousands of words
QUERY_PHRASES_MAX = 8
PHRASE_CHARS_MAX = 256  # with a space between its words: as long as a name
NEARBY_IDS_MAX = 256  # within two links of a super-peer: of 144 with 12 neighbours
REACH_IDS_MAX = 4_096  # super-peers by which a network is counted: 8 KiB, error 6 % at most
PATCHES_MAX = 256  # of digests in one message: more than neighbours
DIGEST_BITS_MAX = 26  # of a place: 4 % are set with 2.7 million words and files
HOPS_MAX = 10
TRACE_HOPS_MAX = 500  # of one trace, some 60 bytes each
WISHES_PER_LEAF_MAX = 32  # standing searches; wild guess
WISH_BYTES_MAX = 1024  # of the words of one; so all of a leaf's fit the queue of its link
TTL_MAX = 10
DEGREE_MAX = 32
RECEIPTS_MAX = 32  # in one message: 32 of 300 bytes
RECORDS_MAX = 64  # of leaves, in one message
TEST_S_MAX = 30  # of a transfer test: THREATS T5
WITNESSES_MAX = 16  # of one super-peer's leaves, in one test
TEST_BYTES_MAX = 2**30  # asked of one node in a test, by one witness
LINE_MAX = 16  # leaves that stand ready to succeed the super-peers: DESIGN §5
LINE_AGE_MAX = 60  # seconds that such a leaf is believed in; its parent says it anew each 20
MERIT_MAX = 255
REQUEST_BYTES_MAX = 1024 * 1024  # one bulk frame
TREE_HASHES_MAX = 16_384  # piece hashes in one answer: half a bulk frame
OPEN_REQUESTS_MAX = 64  # requests a source keeps for one downloader

# Queues and links
SEND_QUEUE_BYTES_MAX = 96 * 1024  # control bytes waiting for one link beyond libzmq's own pipe
SEND_HWM_MESSAGES = 64
HANDSHAKE_S = 10.0  # 2 s made a mass re-homing of 4,000 collapse (measured)
HELLO_S = 2.0
