
# A constant is initialized by the first thread that needs it. Another thread that needs it meanwhile
# asks its scheduler to suspend it. But a thread may have no scheduler: the one that watches over all
# schedulers has none, and Crystal 1.21.0 then ends the program (issue 17212 of Crystal). With this
# mend, such a thread asks again until the constant has its value.
{% if !flag?(:without_mt) && !flag?(:preview_mt) || flag?(:execution_context) %}
  module Crystal::Once
    private def self.wait_initializer(operation)
      return previous_def if Thread.current.scheduler?

      flag = operation.value.flag
      @@spin.unlock
      # The lock makes all that the initializer wrote visible to this thread.
      until @@spin.sync { flag.value }
        Thread.yield
      end
    end
  end
{% end %}
