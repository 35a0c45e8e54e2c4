// KMS asked as another AWS role, against moto, which has KMS and STS: the operator's own role and an object's.
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
