"""The records and constants of ext4 that the reader needs.

Names are those of the kernel's Documentation/filesystems/ext4/ (a comment names the file). Gaps are
unused fields.
"""

from __future__ import annotations

import struct

from rootfs.image.disk import Record

SUPERBLOCK = Record(  # super.rst
    "<",
    s_inodes_count="I",
    s_blocks_count_lo="I",
    gap1="12s",
    s_first_data_block="I",
    s_log_block_size="I",
    gap2="4s",
    s_blocks_per_group="I",
    gap3="4s",
    s_inodes_per_group="I",
    gap4="12s",
    s_magic="H",
    gap5="30s",
    s_inode_size="H",
    gap6="6s",
    s_feature_incompat="I",
    s_feature_ro_compat="I",
    s_uuid="16s",
    gap7="134s",
    s_desc_size="H",
    gap8="80s",
    s_blocks_count_hi="I",
    gap9="284s",
    s_checksum_seed="I",
)
DESCRIPTOR = Record(  # group_descr.rst, 64 bytes
    "<",
    bg_block_bitmap_lo="I",
    bg_inode_bitmap_lo="I",
    bg_inode_table_lo="I",
    gap1="6s",
    bg_flags="H",
    gap2="4s",
    bg_block_bitmap_csum_lo="H",
    bg_inode_bitmap_csum_lo="H",
    gap3="2s",
    bg_checksum="H",
    bg_block_bitmap_hi="I",
    bg_inode_bitmap_hi="I",
    bg_inode_table_hi="I",
    gap4="12s",
    bg_block_bitmap_csum_hi="H",
    bg_inode_bitmap_csum_hi="H",
    gap5="4s",
)
INODE = Record(  # inodes.rst
    "<",
    i_mode="H",
    i_uid="H",
    i_size_lo="I",
    gap1="8s",
    i_mtime="I",
    gap2="4s",
    i_gid="H",
    i_links_count="H",
    gap3="4s",
    i_flags="I",
    gap4="4s",
    i_block="60s",
    i_generation="I",
    i_file_acl_lo="I",
    i_size_high="I",
    gap5="6s",
    l_i_file_acl_high="H",
    l_i_uid_high="H",
    l_i_gid_high="H",
    l_i_checksum_lo="H",
    gap6="2s",
    i_extra_isize="H",
    i_checksum_hi="H",
)
EXTENT_HEADER = struct.Struct("<HHHHI")  # ifork.rst: magic, entries, max, depth, generation
EXTENT = struct.Struct("<IHHI")  # first block in the file, length, block on disk (high, low)
EXTENT_INDEX = struct.Struct("<IIHH")  # first block in the file, block on disk (low, high)
ENTRY = struct.Struct("<IHBB")  # directory.rst: inode, length, length of the name, type

INODE_BASE = 128  # bytes of the first form; i_extra_isize counts from here
ATTRIBUTES = struct.pack("<I", 0xEA020000)  # attributes.rst: the magic before those in the inode

SUPERBLOCK_AT = 1024
MAGIC, EXTENT_MAGIC = 0xEF53, 0xF30A
FILETYPE, RECOVER, EXTENTS, BITS_64, FLEX_BG, SEED = 0x2, 0x4, 0x40, 0x80, 0x200, 0x2000
KNOWN = FILETYPE | EXTENTS | BITS_64 | FLEX_BG | SEED
METADATA_CSUM = 0x400
EXTENTS_FLAG, INDEX_FLAG = 0x80000, 0x1000
UNWRITTEN = 32768  # a longer extent is unwritten (zeros); its length is the rest
TAIL_TYPE = 0xDE  # the type of a directory block's last entry, which has the checksum
ROOT = 2  # the inode of the root directory
FAST_SYMLINK = 60  # bytes; a shorter target is stored in the inode
PIECE = 1 << 20
DEEPEST = 5  # levels of an extent tree
