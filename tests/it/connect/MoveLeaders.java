import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;

/** Moves the leaders of all partitions that have several replicas on by one broker, those of internal topics too. */
public class MoveLeaders {
    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            Map<TopicPartition, Optional<NewPartitionReassignment>> moves = new HashMap<>();
            var names = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
            for (TopicDescription topic : admin.describeTopics(names).allTopicNames().get().values()) {
                for (TopicPartitionInfo partition : topic.partitions()) {
                    List<Integer> replicas = new ArrayList<>(partition.replicas().stream().map(Node::id).toList());
                    if (replicas.size() > 1) {
                        Collections.rotate(replicas, -1);
                        TopicPartition place = new TopicPartition(topic.name(), partition.partition());
                        moves.put(place, Optional.of(new NewPartitionReassignment(replicas)));
                    }
                }
            }
            // A topic may be deleted meanwhile, and a leader may be where it shall be already.
            admin.alterPartitionReassignments(moves).values().values().forEach(MoveLeaders::ended);
            ended(admin.electLeaders(ElectionType.PREFERRED, moves.keySet()).all());
            System.out.println(moves.size());
        }
    }

    private static void ended(java.util.concurrent.Future<?> step) {
        try {
            step.get();
        } catch (Exception passed) {
            System.err.println(passed.getMessage());
        }
    }
}
