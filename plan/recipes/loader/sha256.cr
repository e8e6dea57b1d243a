# SHA-256 (FIPS 180-4). The rounds are written out by macros, so that all numbers are in registers.

module Sha256
  @[AlwaysInline]
  def self.rotated(x : UInt32, by : UInt32) : UInt32
    x.unsafe_shr(by) | x.unsafe_shl(32_u32 &- by)
  end

  # The number of four bytes at `at`, the highest byte first.
  @[AlwaysInline]
  def self.read(at : UInt8*) : UInt32
    at.value.to_u32!.unsafe_shl(24_u32) | (at + 1_i64).value.to_u32!.unsafe_shl(16_u32) |
      (at + 2_i64).value.to_u32!.unsafe_shl(8_u32) | (at + 3_i64).value.to_u32!
  end

  # Take the 64 bytes at `block` into the eight numbers at `state` (6.2.2).
  def self.add(state : UInt32*, block : UInt8*)
    {% begin %}
      {% for i in 0...16 %}
        w{{i}} = read(block + {{4 * i}}_i64)
      {% end %}
      {% names = %w(a b c d e f g h) %}
      {% for name, i in names %}
        {{name.id}} = (state + {{i}}_i64).value
      {% end %}
      {% constants = %w(
           428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5
           d807aa98 12835b01 243185be 550c7dc3 72be5d74 80deb1fe 9bdc06a7 c19bf174
           e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da
           983e5152 a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967
           27b70a85 2e1b2138 4d2c6dfc 53380d13 650a7354 766a0abb 81c2c92e 92722c85
           a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070
           19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3 4ed8aa4a 5b9cca4f 682e6ff3
           748f82ee 78a5636f 84c87814 8cc70208 90befffa a4506ceb bef9a3f7 c67178f2
         ) %}
      {% for constant, i in constants %}
        {% a, b, c, d, e, f, g, h = (0...8).map { |n| names[(n + 64 - i) % 8].id } %}
        {% w = "w#{i % 16}".id %}
        {% if i >= 16 %}
          {% w1, w9, w14 = [1, 9, 14].map { |n| "w#{(i + n) % 16}".id } %}
          {{w}} = {{w}} &+ {{w9}} &+
            (rotated({{w1}}, 7_u32) ^ rotated({{w1}}, 18_u32) ^ {{w1}}.unsafe_shr(3_u32)) &+
            (rotated({{w14}}, 17_u32) ^ rotated({{w14}}, 19_u32) ^ {{w14}}.unsafe_shr(10_u32))
        {% end %}
        {{h}} = {{h}} &+ 0x{{constant.id}}_u32 &+ {{w}} &+ ({{g}} ^ ({{e}} & ({{f}} ^ {{g}}))) &+
          (rotated({{e}}, 6_u32) ^ rotated({{e}}, 11_u32) ^ rotated({{e}}, 25_u32))
        {{d}} = {{d}} &+ {{h}}
        {{h}} = {{h}} &+ (({{a}} & {{b}}) | ({{c}} & ({{a}} | {{b}}))) &+
          (rotated({{a}}, 2_u32) ^ rotated({{a}}, 13_u32) ^ rotated({{a}}, 22_u32))
      {% end %}
      {% for name, i in names %}
        (state + {{i}}_i64).value = (state + {{i}}_i64).value &+ {{name.id}}
      {% end %}
    {% end %}
  end

  # Write the eight numbers of the hash of `size` bytes at `data` to `state`.
  def self.of(data : UInt8*, size : UInt64, state : UInt32*)
    {% for number, i in %w(6a09e667 bb67ae85 3c6ef372 a54ff53a 510e527f 9b05688c 1f83d9ab 5be0cd19) %}
      (state + {{i}}_i64).value = 0x{{number.id}}_u32
    {% end %}
    at = 0_u64
    while at &+ 64_u64 <= size
      add(state, data + at.to_i64!)
      at = at &+ 64_u64
    end
    # The rest, a one, zeros, and the number of bits (5.1.1), in one block or two.
    rest = uninitialized UInt64[16]
    last = pointerof(rest).as(UInt8*)
    blocks = size &- at < 56_u64 ? 1_u64 : 2_u64
    end_of_data = size &- at
    i = 0_u64
    while i < 64_u64 &* blocks
      byte = 0_u8
      byte = (data + (at &+ i).to_i64!).value if i < end_of_data
      byte = 0x80_u8 if i == end_of_data
      from_end = 64_u64 &* blocks &- 1_u64 &- i
      byte = (size &* 8_u64).unsafe_shr(8_u64 &* from_end).to_u8! if from_end < 8_u64
      (last + i.to_i64!).value = byte
      i = i &+ 1_u64
    end
    add(state, last)
    add(state, last + 64_i64) if blocks == 2_u64
  end
end
