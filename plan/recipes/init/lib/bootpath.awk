# Reads a boot option of the firmware in hexadecimal, as efivarfs has it: four bytes, then an
# EFI_LOAD_OPTION (UEFI 2.10, 3.1.3). Prints what the path of its disk below /sys matches, and the
# disk's number among the ports of its SATA controller, or "-". Prints nothing if the option does not
# lead to PCI.

function number(hex,    at, value) {
  for (at = 1; at <= length(hex); at++)
    value = 16 * value + index("0123456789abcdef", substr(hex, at, 1)) - 1
  return value
}

function byte(at) { return number(substr($0, at, 2)) }
function word(at) { return byte(at) + 256 * byte(at + 2) }

{
  at = 1 + 2 * (4 + 4 + 2) # the first two fields: attributes, and the length of the path
  while (at < length($0) && substr($0, at, 4) != "0000") at += 4 # the description
  path = ""
  port = "-"
  for (at += 4; at < length($0); at += 2 * size) {
    size = word(at + 4)
    if (size < 4) break
    node = substr($0, at, 8) # type, subtype and size of a part of the device path (10.3)
    if (node == "7fff0400") break
    if (node == "01010600") path = path sprintf("/[^/]*:%02x[.]%x", byte(at + 10), byte(at + 8)) # PCI
    if (node == "03020800") path = path sprintf("/.*:%d:%d/block", word(at + 8), word(at + 12)) # SCSI
    if (node == "03120a00") port = word(at + 8) + 1 # SATA
  }
  if (path != "") print path, port
}
